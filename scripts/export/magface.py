#!/usr/bin/env python3
"""MagFace: the authors' checkpoints, `magface_epoch_00025.pth` of an iResNet 100 (also 18, 50) with its head, which is dropped.

    .venv/bin/python scripts/export/magface.py magface_epoch_00025.pth [--name magface | --name magface-facecure] [-o FOLDER]

The same weights under two cards: `magface` is fed BGR, as the authors' gen_feat.py does it, `magface-facecure` RGB, as the paper's code.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.arcface import build  # noqa: E402
from export.base import arguments, fail, finish, load_state_dict, without_prefix  # noqa: E402


def main(given=None):
    options = arguments(__doc__, "magface").parse_args(given)
    tensors = load_state_dict(options.checkpoint)
    # Trained side by side, the network and its head are wrapped, from inside or from outside.
    inside = without_prefix(tensors, ["features.module.", "module.features.", "features."])
    if inside is tensors:
        fail(f"{options.checkpoint} is no checkpoint of MagFace's: no tensor's name starts with features.module., module.features. or features.")
    finish(build(inside, options.checkpoint, epsilon=2e-5), "magface", options)


if __name__ == "__main__":
    main()
