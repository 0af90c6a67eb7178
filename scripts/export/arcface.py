#!/usr/bin/env python3
"""Exports ArcFace: InsightFace's arcface_torch checkpoints of an iResNet 18, 34, 50, 100 or 200: `backbone.pth`, or its
trainer's `checkpoint_gpu_0.pt`.

    .venv/bin/python scripts/export/arcface.py backbone.pth [--name arcface] [-o FOLDER]
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, fail, finish, load_into, load_state_dict, unwrap  # noqa: E402
from export.iresnet import DEPTHS, IResNet, blocks_of  # noqa: E402


def build(tensors, where, eps=1e-5):
    """The module and its name, by the tensors' names."""
    blocks = blocks_of(tensors)
    if blocks not in DEPTHS:
        fail(
            f"{where} is not an InsightFace iResNet: its stages have {blocks} blocks, "
            f"expected one of {', '.join(map(str, DEPTHS))}"
        )
    return load_into(
        IResNet(blocks, eps), tensors, f"{where} is not an InsightFace iResNet"
    ), f"iResNet-{DEPTHS[blocks]}"


def main(given=None):
    options = arguments(__doc__, "arcface").parse_args(given)
    tensors = load_state_dict(options.checkpoint)
    module, network = build(unwrap(tensors, "layer1.") or tensors, options.checkpoint)
    finish(module, "arcface", options, network)


if __name__ == "__main__":
    main()
