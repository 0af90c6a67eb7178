#!/usr/bin/env python3
"""Fawkes's own recognisers, Keras files of whole models: v1.0's `extractor_0.h5` and `extractor_2.h5`, v0.3's
`low_extract.h5` and `high_extract.h5`.

    .venv/bin/python scripts/export/fawkes.py extractor_0.h5 [--name celeb1m] [-o FOLDER]
    .venv/bin/python scripts/export/fawkes.py low_extract.h5 --weights cp-robust-10.ckpt --name webface-robust

Built from the description that the file carries, whatever its architecture (Keras 2's and 3's, layers of a plain
convolutional network; a Lambda layer holds code and is refused). What is in the published files was asked of their
authors and never answered, and they were not at hand: this is tested with keras.applications' DenseNets, which v0.3's
are said to be. v1.0's embeddings get length one, as its code gives them, v0.3's stay raw.

--weights takes the weights of another file, by the layers' names: those that FaceCure trained on with perturbed photos.
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
    """The weights, with those of the other file in the place of the ones that have their names and shapes, as Keras's
    load_weights(by_name=True, skip_mismatch=True) takes them. Ends the program where there are none."""
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
            "a file of model.save() is expected, not of save_weights()"
        )
    if weights_path:
        weights = replaced(weights, weights_path)
    try:
        module = keras_reader.read_keras(described, weights, layer)
    except NotImplementedError as error:
        fail(f"{path} has what scripts/convert/keras_reader.py cannot read: {error}")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        fail(f"{path} describes no network that can be read: {type(error).__name__}: {sentence(str(error))}")
    height, width, _ = keras_reader.input_shape(described)
    dimension_of(module, height, width, path)
    return module, height, width


def main(given=None):
    parser = arguments(__doc__)
    parser.add_argument("--layer", help="whose output is the embedding; default: the model's output")
    parser.add_argument("--weights", type=Path, help="the file whose weights the network gets; default: its own")
    options = parser.parse_args(given)
    family = FILES.get(options.checkpoint.stem) or (options.name if options.name in FILES.values() else None)
    if not family:
        fail(
            f"{options.checkpoint}: which of Fawkes's is it? "
            f"Its name is none of {', '.join(FILES)}; give --name {', '.join(FILES.values())}"
        )
    options.name = options.name or (ROBUST if options.weights else family)
    module, height, width = build(options.checkpoint, options.layer, options.weights)
    side = 112 if family in UNIT else 224
    if (height, width) != (side, side):
        fail(f"{options.checkpoint} takes pictures of {height} x {width}; Fawkes's {family} takes {side} x {side}")
    network = "Keras"
    if options.weights:  # the record names the file that the weights are of
        network += f", described by {options.checkpoint.name}"
        options.checkpoint = options.weights
    finish(OfLengthOne(module) if family in UNIT else module, family, options, network)


if __name__ == "__main__":
    main()
