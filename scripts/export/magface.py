#!/usr/bin/env python3
"""Exports MagFace: the authors' checkpoints, such as `magface_epoch_00025.pth` of an iResNet 100 (also 18, 34, 50). The
head is dropped.

    .venv/bin/python scripts/export/magface.py magface_epoch_00025.pth [--name magface | --name magface-facecure]
        [-o FOLDER]

Two cards use the same weights: `magface` feeds BGR, as the authors' gen_feat.py does; `magface-facecure` feeds RGB, as
the paper's code does.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.arcface import build  # noqa: E402
from export.base import WRAPPERS, arguments, fail, finish, load_state_dict, unwrap  # noqa: E402



def main(given=None):
    options = arguments(__doc__, "magface").parse_args(given)
    tensors = load_state_dict(options.checkpoint)
    if not any("features.layer1." in name for name in tensors):
        fail(
            f"{options.checkpoint} is not a MagFace checkpoint: "
            "there is no layer1 under features (arcface.py reads a bare backbone)"
        )
    backbone = unwrap(tensors, "layer1.", ("features", *WRAPPERS))
    module, network = build(backbone, options.checkpoint, eps=2e-5)
    finish(module, "magface", options, network)


if __name__ == "__main__":
    main()
