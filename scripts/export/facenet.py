#!/usr/bin/env python3
"""Exports FaceNet: facenet-pytorch's Inception-ResNet v1, `20180402-114759-vggface2.pt` and
`20180408-102900-casia-webface.pt`, and DeepFace's `facenet_weights.h5`, the same network in Keras with 128 numbers.

    .venv/bin/python scripts/export/facenet.py 20180402-114759-vggface2.pt [--name facenet] [-o FOLDER]
    .venv/bin/python scripts/export/facenet.py facenet_weights.h5 [--name facenet-deepface] [-o FOLDER]

The layer that classifies the training set's people is dropped. facenet-pytorch's embedding has length one, as in
that package; DeepFace's does not.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import (  # noqa: E402
    KERAS,
    arguments,
    check_keys,
    finish,
    kind_of,
    load_into,
    load_state_dict,
    unwrap,
)
from export.keras_file import read_h5  # noqa: E402


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def chain(*rows):
    """Convolutions of (inputs, outputs, kernel, …). A single one is not nested, as in the checkpoint's names."""
    layers = [Conv(*row) for row in rows]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two or three branches, joined by a 1 × 1 convolution, scaled and added."""

    def __init__(self, width, branches, scale, last=False):
        super().__init__()
        self.branch0, self.branch1 = branches[0], branches[1]
        self.branch2 = branches[2] if len(branches) == 3 else nn.Identity()
        self.three, self.scale, self.last = len(branches) == 3, scale, last
        self.conv2d = nn.Conv2d((96 if len(branches) == 3 else 2 * (128 if width == 896 else 192)), width, 1)

    def forward(self, x):
        parts = [self.branch0(x), self.branch1(x)]
        if self.three:
            parts.append(self.branch2(x))
        x = x + self.scale * self.conv2d(torch.cat(parts, 1))
        return x if self.last else F.relu(x)


def block35():
    return Residual(
        256,
        [
            chain((256, 32, 1)),
            chain((256, 32, 1), (32, 32, 3, 1, 1)),
            chain((256, 32, 1), (32, 32, 3, 1, 1), (32, 32, 3, 1, 1)),
        ],
        0.17,
    )


def block17():
    return Residual(
        896,
        [chain((896, 128, 1)), chain((896, 128, 1), (128, 128, (1, 7), 1, (0, 3)), (128, 128, (7, 1), 1, (3, 0)))],
        0.10,
    )


def block8(scale=0.20, last=False):
    return Residual(
        1792,
        [chain((1792, 192, 1)), chain((1792, 192, 1), (192, 192, (1, 3), 1, (0, 1)), (192, 192, (3, 1), 1, (1, 0)))],
        scale,
        last,
    )


class Reduction(nn.Module):
    """Halves the map: parallel branches and a max pool."""

    def __init__(self, *branches):
        super().__init__()
        self.branch0, self.branch1 = branches[0], branches[1]
        self.branch2 = branches[2] if len(branches) == 3 else nn.Identity()
        self.three = len(branches) == 3

    def forward(self, x):
        parts = [self.branch0(x), self.branch1(x)]
        if self.three:
            parts.append(self.branch2(x))
        return torch.cat(parts + [F.max_pool2d(x, 3, 2)], 1)


class InceptionResnetV1(nn.Module):
    """160 × 160 → `dimension` numbers, of length one if `unit`."""

    def __init__(self, dimension=512, unit=True):
        super().__init__()
        self.unit = unit
        self.conv2d_1a, self.conv2d_2a, self.conv2d_2b = Conv(3, 32, 3, 2), Conv(32, 32, 3), Conv(32, 64, 3, 1, 1)
        self.conv2d_3b, self.conv2d_4a, self.conv2d_4b = Conv(64, 80, 1), Conv(80, 192, 3), Conv(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*[block35() for _ in range(5)])
        self.mixed_6a = Reduction(chain((256, 384, 3, 2)), chain((256, 192, 1), (192, 192, 3, 1, 1), (192, 256, 3, 2)))
        self.repeat_2 = nn.Sequential(*[block17() for _ in range(10)])
        self.mixed_7a = Reduction(
            chain((896, 256, 1), (256, 384, 3, 2)),
            chain((896, 256, 1), (256, 256, 3, 2)),
            chain((896, 256, 1), (256, 256, 3, 1, 1), (256, 256, 3, 2)),
        )
        self.repeat_3 = nn.Sequential(*[block8() for _ in range(5)])
        self.block8 = block8(1.0, last=True)
        self.last_linear = nn.Linear(1792, dimension, bias=False)
        self.last_bn = nn.BatchNorm1d(dimension, eps=0.001)

    def forward(self, x):
        x = F.max_pool2d(self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x))), 3, 2)
        x = self.repeat_1(self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(x))))
        x = self.block8(self.repeat_3(self.mixed_7a(self.repeat_2(self.mixed_6a(x)))))
        x = self.last_bn(self.last_linear(x.mean([2, 3])))
        return F.normalize(x, dim=1) if self.unit else x


BLOCKS = {"repeat_1": "Block35", "repeat_2": "Block17", "repeat_3": "Block8"}


def keras_layer(path, conv):
    """The name in Keras's Inception-ResNet of a convolution here:
    repeat_1.0.branch1.0 is Block35_1_Branch_1_Conv2d_0a_1x1."""
    size = "{}x{}".format(*conv.kernel_size)
    stage, *rest = path.split(".")
    if stage.startswith("conv2d_"):
        return f"Conv2d_{stage[-2:]}_{size}"
    if stage in BLOCKS:
        number, *rest = rest
        block = f"{BLOCKS[stage]}_{int(number) + 1}"
    else:
        block = {"block8": "Block8_6", "mixed_6a": "Mixed_6a", "mixed_7a": "Mixed_7a"}[stage]
    if rest == ["conv2d"]:  # joins the branches
        return f"{block}_Conv2d_{size}"
    branch, place = rest[0][-1], f"0{'abc'[int(rest[1])]}_" if len(rest) > 1 else ""
    place = "1a_" if conv.stride == (2, 2) else place
    # a mistake in Keras's names: the second branch has the block's number
    if branch == "1" and stage in ("repeat_2", "repeat_3"):
        branch = str(int(number) + 1)
    return f"{block}_Branch_{branch}_Conv2d_{place}{size}"


def from_keras(weights, module, complaint):
    """The module with the weights of Keras's file. Its convolutions are H×W×in×out and its norms have no factor."""
    sources = {"last_linear.weight": "Bottleneck/kernel"}
    norms = {"last_bn": "Bottleneck_BatchNorm"}
    for path, conv in module.named_modules():
        if isinstance(conv, nn.Conv2d):
            layer = keras_layer(path.removesuffix(".conv"), conv)
            sources[f"{path}.weight"] = f"{layer}/kernel"
            if conv.bias is None:
                norms[path.removesuffix(".conv") + ".bn"] = f"{layer}_BatchNorm"
            else:
                sources[f"{path}.bias"] = f"{layer}/bias"
    for norm, layer in norms.items():
        for ours, theirs in (("bias", "beta"), ("running_mean", "moving_mean"), ("running_var", "moving_variance")):
            sources[f"{norm}.{ours}"] = f"{layer}/{theirs}"
    state = module.state_dict()
    check_keys(weights, {theirs: to_keras(state[ours]).shape for ours, theirs in sources.items()}, complaint)
    tensors = {ours: to_torch(torch.from_numpy(weights[theirs])) for ours, theirs in sources.items()}
    ones = {f"{norm}.weight": torch.ones_like(state[f"{norm}.weight"]) for norm in norms}
    return load_into(module, tensors | ones, complaint)


def to_keras(tensor):
    return tensor.permute(2, 3, 1, 0) if tensor.dim() == 4 else tensor.T if tensor.dim() == 2 else tensor


def to_torch(tensor):
    return tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor.T if tensor.dim() == 2 else tensor


def main(given=None):
    options = arguments(__doc__).parse_args(given)
    keras = options.checkpoint.is_file() and kind_of(options.checkpoint) == KERAS
    options.name = options.name or ("facenet-deepface" if keras else "facenet")
    if keras:
        module = from_keras(
            read_h5(options.checkpoint)[1],
            InceptionResnetV1(128, unit=False),
            f"{options.checkpoint} is not DeepFace's FaceNet",
        )
        return finish(module, "facenet-deepface", options, "Inception-ResNet v1 from Keras")
    tensors = load_state_dict(options.checkpoint)
    tensors = unwrap(tensors, "conv2d_1a.") or tensors
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("logits.")}
    finish(
        load_into(InceptionResnetV1(), tensors, f"{options.checkpoint} is not facenet-pytorch's Inception-ResNet v1"),
        "facenet",
        options,
    )


if __name__ == "__main__":
    main()
