#!/usr/bin/env python3
"""Exports Fawkes's recognisers, Keras files of whole models: `extractor_0.h5` and `extractor_2.h5` of v1.0,
`low_extract.h5` and `high_extract.h5` of v0.3.

    .venv/bin/python scripts/export/fawkes.py extractor_0.h5 [--name celeb1m] [-o FOLDER]
    .venv/bin/python scripts/export/fawkes.py low_extract.h5 --weights cp-robust-10.ckpt --name webface-robust

The network is built from the file's own description (Keras 2 or 3; layers of a plain convolutional network; a Lambda
layer holds code and is refused). The authors were asked what is in the published files and never answered, and we did
not have the files. The tests use DenseNets of keras.applications, because v0.3's files are said to be DenseNets. As in
Fawkes's code, v1.0's embeddings get length one and v0.3's stay raw.

--weights takes the weights of another file, by the layers' names: FaceCure's, trained on with perturbed photos.
"""
import sys
from pathlib import Path

import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from convert import keras_reader  # noqa: E402
from export.base import arguments, dimension_of, fail, finish, sentence  # noqa: E402
from export.keras_file import read_h5  # noqa: E402

FILES = {
    "extractor_0": "celeb1m",
    "extractor_2": "fawkes-extractor-2",
    "low_extract": "webface",
    "high_extract": "fawkes-high-extract",
}
UNIT = ("celeb1m", "fawkes-extractor-2")
ROBUST = "webface-robust"


class OfLengthOne(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return F.normalize(self.module(x), dim=1)


def replaced(weights, path):
    """Replaces the weights that have the same name and shape in the other file, as Keras's
    load_weights(by_name=True, skip_mismatch=True) does. Ends the program if there are none."""
    others = read_h5(path)[1]
    same = {name: others[name] for name in weights if name in others and others[name].shape == weights[name].shape}
    if not same:
        found = ", ".join(list(others)[:3])
        fail(f"{path} holds none of the network's weights: it has {found}, ...; expected {next(iter(weights))}, ...")
    more = len(others) - len(same)
    print(f"{path.name}: took {len(same)} of the network's {len(weights)} arrays, and left out {more}")
    return weights | same


def build(path, layer, weights_path=None):
    described, weights = read_h5(path)
    if described is None:
        fail(
            f"{path} holds weights without the network's description; "
            "expected a file of model.save(), not of save_weights()"
        )
    if weights_path:
        weights = replaced(weights, weights_path)
    try:
        module = keras_reader.read_keras(described, weights, layer)
    except NotImplementedError as error:
        fail(f"{path}: scripts/convert/keras_reader.py cannot read: {error}")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        fail(f"{path} does not describe a readable network: {type(error).__name__}: {sentence(str(error))}")
    height, width, _ = keras_reader.input_shape(described)
    dimension_of(module, height, width, path)
    return module, height, width


def main(given=None):
    parser = arguments(__doc__)
    parser.add_argument("--layer", help="the layer that gives the embedding; default: the model's output")
    parser.add_argument("--weights", type=Path, help="file of the network's weights; default: CHECKPOINT")
    options = parser.parse_args(given)
    family = FILES.get(options.checkpoint.stem) or (options.name if options.name in FILES.values() else None)
    if not family:
        fail(
            f"{options.checkpoint}: which Fawkes file is it? "
            f"Its name is none of {', '.join(FILES)}; give --name {', '.join(FILES.values())}"
        )
    options.name = options.name or (ROBUST if options.weights else family)
    module, height, width = build(options.checkpoint, options.layer, options.weights)
    side = 112 if family in UNIT else 224
    if (height, width) != (side, side):
        fail(f"{options.checkpoint} takes pictures of {height} x {width}; Fawkes's {family} takes {side} x {side}")
    network = "Keras"
    if options.weights:  # the record names the file of the weights
        network += f", described by {options.checkpoint.name}"
        options.checkpoint = options.weights
    finish(OfLengthOne(module) if family in UNIT else module, family, options, network)


if __name__ == "__main__":
    main()
