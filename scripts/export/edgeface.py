#!/usr/bin/env python3
"""Exports EdgeFace: the authors' checkpoints, such as `edgeface_s_gamma_05.pt` and `edgeface_xs_gamma_06.pt`. Linear
layers may be products of two narrow ones, or int8.

    .venv/bin/python scripts/export/edgeface.py edgeface_s_gamma_05.pt [--name edgeface-s] [-o FOLDER]

The network is EdgeNeXt (Maaz et al. 2022) with 512 numbers instead of classes; layer names and shapes are those of
timm 1.0.31, models/edgenext.py. timm itself is not used: it imports torchvision, which does not load with the CPU
build of PyTorch. Widths, depths, heads and ranks are those of the checkpoint. int8 layers compute in float32.
"""
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, card_like, fail, finish, load_into, load_state_dict, unwrap  # noqa: E402

SIDE = 112
EPSILON = 1e-6
SIZES = {32: "XS", 48: "S", 24: "XXS", 80: "Base"}  # by the first width


class LowRank(nn.Module):
    """A linear layer as the product of two."""

    def __init__(self, inputs, rank, outputs):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs)

    def forward(self, x):
        return self.linear2(self.linear1(x))


class OverChannels(nn.LayerNorm):
    """Layer norm over the channels of N×C×H×W."""

    def forward(self, x):
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Widening(nn.Module):
    """A perceptron on N×H×W×C."""

    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Local(nn.Module):
    """A convolution of each channel, and a perceptron at each pixel."""

    def __init__(self, width, kernel):
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm, self.mlp = nn.LayerNorm(width, EPSILON), Widening(width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = self.norm(self.conv_dw(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.mlp(y)).permute(0, 3, 1, 2)


class BetweenChannels(nn.Module):
    """Attention of channels to channels, of N×pixels×C."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, x):
        n, pixels, width = x.shape
        q, k, v = self.qkv(x).view(n, pixels, 3, self.heads, width // self.heads).permute(2, 0, 3, 4, 1).unbind(0)
        likeness = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature
        return self.proj((likeness.softmax(-1) @ v).permute(0, 3, 1, 2).reshape(n, pixels, width))


def waves(side, count=32):
    """1×2·count×side×side: sines and cosines of the row, then of the column."""
    angle = 2 * math.pi * torch.arange(1, side + 1) / (side + EPSILON)
    k = torch.arange(count)
    angle = angle / 10000 ** (2 * (k // 2) / count)[:, None]
    line = torch.where(k[:, None] % 2 == 0, angle.sin(), angle.cos())
    return torch.cat([line[:, :, None].expand(-1, -1, side), line[:, None].expand(-1, side, -1)])[None]


class Place(nn.Module):
    """Adds a position embedding to a map of side × side."""

    def __init__(self, width, side):
        super().__init__()
        self.token_projection = nn.Conv2d(64, width, 1)
        self.register_buffer("waves", waves(side), persistent=False)

    def forward(self, x):
        return x + self.token_projection(self.waves)


class Global(nn.Module):
    """Convolves parts of the channels, each summed with the previous result; then attention and a perceptron."""

    def __init__(self, width, side, scales, heads, placed):
        super().__init__()
        self.parts = scales + 1
        part = math.ceil(width / self.parts)
        self.convs = nn.ModuleList([nn.Conv2d(part, part, 3, padding=1, groups=part) for _ in range(scales)])
        self.pos_embd = Place(width, side) if placed else nn.Identity()
        self.norm_xca, self.norm = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
        self.xca, self.mlp = BetweenChannels(width, heads), Widening(width)
        self.gamma_xca, self.gamma = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, x):
        n, width, h, w = x.shape
        parts = x.chunk(self.parts, 1)
        last, made = torch.zeros_like(parts[0]), [parts[-1]]
        for k, conv in enumerate(self.convs):
            last = conv(last + parts[k])
            made.insert(k, last)
        y = self.pos_embd(torch.cat(made, 1)).flatten(2).transpose(1, 2)
        y = y + self.gamma_xca * self.xca(self.norm_xca(y))
        y = self.gamma * self.mlp(self.norm(y))
        return x + y.transpose(1, 2).view(n, width, h, w)


class Stage(nn.Module):
    def __init__(self, inputs, blocks):
        super().__init__()
        self.downsample = nn.Identity()
        if inputs:
            shrink = nn.Conv2d(inputs, blocks[0].gamma.numel(), 2, 2)
            self.downsample = nn.Sequential(OverChannels(inputs, EPSILON), shrink)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        return self.blocks(self.downsample(x))


class Head(nn.Module):
    def __init__(self, width, dimension):
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(width, EPSILON), nn.Linear(width, dimension)

    def forward(self, x):
        return self.fc(self.norm(x.mean([2, 3])))


class EdgeNeXt(nn.Module):
    """112 × 112 → 512, built from the names and shapes of a checkpoint's tensors."""

    def __init__(self, shapes):
        super().__init__()
        width = shapes["stem.0.weight"][0]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 4, 4), OverChannels(width, EPSILON))
        side, inputs, stages = SIDE // 4, 0, []
        for stage in range(4):
            blocks = [block_of(shapes, f"stages.{stage}.blocks.{k}.", side) for k in range(count(shapes, stage))]
            stages.append(Stage(inputs, blocks))
            side, inputs = side // 2, blocks[0].gamma.numel()
        self.stages, self.head = nn.Sequential(*stages), Head(inputs, 512)
        for name, shape in shapes.items():
            if name.endswith(".linear1.weight"):
                path, _, last = name.removesuffix(".linear1.weight").rpartition(".")
                layer = getattr(self.get_submodule(path), last)
                setattr(self.get_submodule(path), last, LowRank(layer.in_features, shape[0], layer.out_features))

    def forward(self, x):
        return self.head(self.stages(self.stem(x)))


def count(shapes, stage):
    return len({name.split(".")[3] for name in shapes if name.startswith(f"stages.{stage}.blocks.")})


def block_of(shapes, path, side):
    width = shapes[f"{path}gamma"][0]
    if f"{path}conv_dw.weight" in shapes:
        return Local(width, shapes[f"{path}conv_dw.weight"][-1])
    scales = len([name for name in shapes if name.startswith(f"{path}convs.") and name.endswith(".weight")])
    placed = f"{path}pos_embd.token_projection.weight" in shapes
    return Global(width, side, scales, shapes[f"{path}xca.temperature"][0], placed)


def main(given=None):
    options = arguments(__doc__).parse_args(given)
    tensors = unwrap(load_state_dict(options.checkpoint), "stem.0.")
    complaint = f"{options.checkpoint} is not EdgeFace's EdgeNeXt"
    try:
        network = EdgeNeXt({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except (KeyError, IndexError) as error:
        missing = error.args[0] if isinstance(error, KeyError) else "a block in one of 4 stages"
        fail(f"{complaint}: it lacks {missing}")
    except AttributeError:
        fail(f"{complaint}: a low-rank layer stands where the network has no linear one")
    size = SIZES.get(network.stem[0].out_channels, f"of width {network.stem[0].out_channels}")
    options.name = options.name or f"edgeface-{size.lower().replace(' ', '-')}"
    described = [f"EdgeNeXt {size}"]
    described += ["low-rank linear layers"] if any(".linear1." in name for name in tensors) else []
    described += ["int8 linear layers in float32"] if any(tensor.is_quantized for tensor in tensors.values()) else []
    card = card_like("edgeface-s", title=f"EdgeFace-{size}")
    finish(load_into(network, tensors, complaint), card, options, ", ".join(described))


if __name__ == "__main__":
    main()
