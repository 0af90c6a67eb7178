#!/usr/bin/env python3
"""Exports GhostFaceNets (Alansari et al. 2023): the authors' Keras files of whole models, such as
`GhostFaceNet_W1.3_S1_ArcFace.h5`.

    .venv/bin/python scripts/export/ghostfacenet.py GhostFaceNet_W1.3_S1_ArcFace.h5 [--name ghostfacenet] [-o FOLDER]

The network is built from the file's own description, as in fawkes.py. If the file was saved with a head for training,
--layer embedding takes the layer before it. We did not have the published file.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, card_like, finish  # noqa: E402
from export.fawkes import build  # noqa: E402


def card(height, width):
    like = card_like("ghostfacenet", title="GhostFaceNet")
    size = {"side": height} if height == width else {"width": width, "height": height}
    like["input"] = {key: value for key, value in like["input"].items() if key != "side"} | size
    return like


def main(given=None):
    parser = arguments(__doc__, "ghostfacenet")
    parser.add_argument("--layer", help="the layer that gives the embedding; default: the model's output")
    options = parser.parse_args(given)
    module, height, width = build(options.checkpoint, options.layer)
    finish(module, card(height, width), options, "Keras")


if __name__ == "__main__":
    main()
