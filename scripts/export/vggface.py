#!/usr/bin/env python3
"""Exports VGG-Face: DeepFace's `vgg_face_weights.h5`.

    .venv/bin/python scripts/export/vggface.py vgg_face_weights.h5 [--name vggface] [-o FOLDER]
    .venv/bin/python scripts/export/vggface.py vgg_face_weights.h5 --name vggface-2622 --dimension 2622

The embedding is the 4096 numbers before the classifier, after their ReLU. With --dimension 2622 it is the classifier's
output before the softmax, as in DeepFace until 2023.
"""
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, check_keys, finish  # noqa: E402
from export.keras_file import read_h5  # noqa: E402

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
FULL = ((4096, 7), (4096, 1), (2622, 1))  # outputs, kernel


class VggFace(nn.Module):
    """224 × 224 → 4096 or 2622."""

    def __init__(self, dimension=4096):
        super().__init__()
        layers, inputs = [], 3
        for stage in STAGES:
            for width in stage:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        for width, kernel in FULL:
            layers += [nn.Conv2d(inputs, width, kernel), nn.ReLU()]
            inputs = width
        # The classifier has no ReLU. The other embedding ends before it.
        self.layers = nn.Sequential(*layers[: -1 if dimension == 2622 else -2])

    def forward(self, x):
        return self.layers(x).flatten(1)


def load(weights, module, complaint):
    """Takes the file's layers in order; their names depend on the Keras version that saved them."""
    kernels = {name: array for name, array in weights.items() if array.ndim == 4}
    biases = {name: array for name, array in weights.items() if array.ndim == 1}
    with torch.device("meta"):  # the file has all layers, even those that are not needed
        convolutions = [layer for layer in VggFace(2622).layers if isinstance(layer, nn.Conv2d)]
    numbered = {
        f"layer {k + 1}, {kind}": array
        for kind, arrays in (("kernel", kernels), ("bias", biases))
        for k, array in enumerate(arrays.values())
    }
    wanted = {f"layer {k + 1}, kernel": conv.weight.permute(2, 3, 1, 0).shape for k, conv in enumerate(convolutions)}
    wanted |= {f"layer {k + 1}, bias": conv.bias.shape for k, conv in enumerate(convolutions)}
    check_keys(numbered, wanted, complaint)
    for k, conv in enumerate(layer for layer in module.layers if isinstance(layer, nn.Conv2d)):
        conv.weight.data = torch.from_numpy(numbered[f"layer {k + 1}, kernel"]).permute(3, 2, 0, 1).float().contiguous()
        conv.bias.data = torch.from_numpy(numbered[f"layer {k + 1}, bias"]).float()
    return module.eval()


def main(given=None):
    parser = arguments(__doc__, "vggface")
    parser.add_argument("--dimension", type=int, choices=[4096, 2622], default=4096, help="default: 4096")
    options = parser.parse_args(given)
    module = load(
        read_h5(options.checkpoint)[1], VggFace(options.dimension), f"{options.checkpoint} is not DeepFace's VGG-Face"
    )
    finish(module, "vggface" if options.dimension == 4096 else "vggface-2622", options, "VGG-16")


if __name__ == "__main__":
    main()
