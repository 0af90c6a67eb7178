#!/usr/bin/env python3
"""Exports MobileFaceNet (Chen et al. 2018): Xiaoccer's PyTorch checkpoints, such as `068.ckpt` (pictures 112 high and
96 wide), and InsightFace's of MXNet, such as `model-0000.params` (pictures of 112 × 112).

    .venv/bin/python scripts/export/mobilefacenet.py 068.ckpt [--name mobilefacenet-068] [-o FOLDER]

Layer names and shapes are those of Xiaoccer/MobileFaceNet_Pytorch, core/model.py, and of InsightFace's
fmobilefacenet.py. An MXNet file does not describe its network, so other architectures are refused. Both are fed RGB,
(x - 127.5) / 128, as by their authors.
"""
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import (  # noqa: E402
    MXNET,
    arguments,
    fail,
    finish,
    kind_of,
    load_into,
    load_state_dict,
    suggest_check,
    unwrap,
)
from export.mxnet_file import read_params  # noqa: E402

# Width, growth, blocks, stride.
STAGES = ((64, 2, 5, 2), (128, 4, 1, 2), (128, 2, 6, 1), (128, 4, 1, 2), (128, 2, 2, 1))
# The names of the blocks in MXNet's file, in order.
BLOCKS = ["dconv_23", *[f"res_3_block{k}" for k in range(4)], "dconv_34", *[f"res_4_block{k}" for k in range(6)],
          "dconv_45", *[f"res_5_block{k}" for k in range(2)]]  # fmt: skip
MXNET_EPSILON, MXNET_LAST_EPSILON = 1e-3, 2e-5


def card(height, width, dimension):
    return {
        "title": "MobileFaceNet",
        "released": "2018",
        "licence": "not known",
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
        "dimension": dimension,
    }


class Layer(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, groups=1, linear=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.Identity() if linear else nn.PReLU(outputs)

    def forward(self, x):
        return self.prelu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, inputs, outputs, growth, stride):
        super().__init__()
        inner, self.adds = inputs * growth, stride == 1 and inputs == outputs
        depthwise = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        layers = [nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.PReLU(inner)]
        layers += [depthwise, nn.BatchNorm2d(inner), nn.PReLU(inner)]
        self.conv = nn.Sequential(*layers, nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileFaceNet(nn.Module):
    """kernel: the size of the last map, a sixteenth of the picture."""

    def __init__(self, kernel, dimension):
        super().__init__()
        self.conv1, self.dw_conv1 = Layer(3, 64, 3, 2, 1), Layer(64, 64, 3, 1, 1, groups=64)
        inputs, blocks = 64, []
        for width, growth, count, stride in STAGES:
            for k in range(count):
                blocks.append(Bottleneck(inputs, width, growth, 1 if k else stride))
                inputs = width
        self.blocks, self.conv2 = nn.Sequential(*blocks), Layer(inputs, 512, 1)
        self.linear7 = Layer(512, 512, kernel, groups=512, linear=True)
        self.linear1 = Layer(512, dimension, 1, linear=True)

    def forward(self, x):
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        return self.linear1(self.linear7(x)).flatten(1)


def from_mxnet(arrays):
    """MXNet's tensors under PyTorch's names."""
    layers = {"conv1": "conv_1", "dw_conv1": "conv_2_dw", "conv2": "conv_6sep", "linear7": "conv_6dw7_7"}
    places = {ours: ("conv", "bn", "prelu", theirs) for ours, theirs in layers.items()}
    for k, block in enumerate(BLOCKS):
        for first, part in ((0, "sep"), (3, "dw"), (6, "proj")):
            numbers = [str(first + k) for k in range(3)]
            places[f"blocks.{k}.conv", part] = (*numbers, f"{block}_conv_{part}")
    found = {}
    for ours, (conv, norm, slope, theirs) in places.items():
        ours = ours if isinstance(ours, str) else ours[0]
        names = {
            f"{conv}.weight": f"{theirs}_conv2d_weight",
            f"{norm}.weight": f"{theirs}_batchnorm_gamma",
            f"{norm}.bias": f"{theirs}_batchnorm_beta",
            f"{norm}.running_mean": f"{theirs}_batchnorm_moving_mean",
            f"{norm}.running_var": f"{theirs}_batchnorm_moving_var",
            f"{slope}.weight": f"{theirs}_relu_gamma",
        }
        found |= {f"{ours}.{name}": arrays.pop(source) for name, source in names.items() if source in arrays}
    return found | last_layer(arrays)


def last_layer(arrays):
    """Turns a dense layer with a bias and a norm with factor 1 into a convolution and a norm."""
    wanted = ("fc1_weight", "pre_fc1_bias", "fc1_beta", "fc1_moving_mean", "fc1_moving_var")
    if any(name not in arrays for name in wanted):
        return {}
    weight, bias, beta, mean, variance = [arrays.pop(name) for name in wanted]
    arrays.pop("fc1_gamma", None)  # MXNet does not use it here
    layer = {"conv.weight": weight[..., None, None], "bn.weight": torch.ones_like(beta), "bn.bias": beta}
    layer |= {"bn.running_mean": mean - bias, "bn.running_var": variance}
    return {f"linear1.{name}": tensor for name, tensor in layer.items()}


def main(given=None):
    options = arguments(__doc__).parse_args(given)
    mxnet = options.checkpoint.is_file() and kind_of(options.checkpoint) == MXNET
    complaint = f"{options.checkpoint} is not {'InsightFace' if mxnet else 'Xiaoccer'}'s MobileFaceNet"
    if mxnet:
        arrays = read_params(options.checkpoint)
        tensors = from_mxnet(arrays) | arrays
    else:
        tensors = unwrap(load_state_dict(options.checkpoint), "dw_conv1.") or {}
    if "linear7.conv.weight" not in tensors or "linear1.conv.weight" not in tensors:
        fail(f"{complaint}: it has no {'conv_6dw7_7 or fc1' if mxnet else 'dw_conv1, linear7 or linear1'}")
    kernel, dimension = tuple(tensors["linear7.conv.weight"].shape[2:]), tensors["linear1.conv.weight"].shape[0]
    module = MobileFaceNet(kernel, dimension)
    if mxnet:
        for name, layer in module.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = MXNET_LAST_EPSILON if name == "linear1.bn" else MXNET_EPSILON
    options.name = options.name or f"mobilefacenet-{options.checkpoint.stem}"
    height, width = [16 * n for n in kernel]
    load_into(module, tensors, complaint)
    finish(module, card(height, width, dimension), options, f"MobileFaceNet, {height} x {width}")
    suggest_check(options)


if __name__ == "__main__":
    main()
