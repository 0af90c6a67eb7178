#!/usr/bin/env python3
"""GhostFaceNets (Alansari et al. 2023): the authors' Keras files of whole models, such as
`GhostFaceNet_W1.3_S1_ArcFace.h5`.

    .venv/bin/python scripts/export/ghostfacenet.py GhostFaceNet_W1.3_S1_ArcFace.h5 [--name ghostfacenet] [-o FOLDER]

Built from the description that the file carries, as fawkes.py does. Of a file that was saved with a head for training,
--layer embedding takes the layer before it. The published file was not at hand.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, finish  # noqa: E402
from export.fawkes import build  # noqa: E402


def card(height, width):
    return {
        "title": "GhostFaceNet",
        "released": "2023",
        "licence": "MIT (the authors' repository); rights in weights and training data not stated",
        "input": {
            **({"side": height} if height == width else {"width": width, "height": height}),
            "template": "arcface-112",
            "channels": "rgb",
            "scale": 255.0,
            "mean": [127.5] * 3,
            "std": [128.0] * 3,
            "interpolation": "bilinear",
            "antialias": False,
            "resize": "squash",
        },
        "method": "forward",
        "flip_averaging": False,
    }


def main(given=None):
    parser = arguments(__doc__, "ghostfacenet")
    parser.add_argument("--layer", help="whose output is the embedding; default: the model's output")
    options = parser.parse_args(given)
    module, height, width = build(options.checkpoint, options.layer)
    finish(module, card(height, width), options, "Keras")


if __name__ == "__main__":
    main()
