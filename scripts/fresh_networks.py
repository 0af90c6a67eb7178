#!/usr/bin/env python3
"""Writes small networks with fresh, random weights, each with its card: `facepoison train` starts from them.

    .venv/bin/python scripts/fresh_networks.py [NAME ...] [--seed N] [-o FOLDER]

Without names: all. FOLDER (default models/fresh) gets NAME.pt, a TorchScript module, and NAME.json. The networks are
small versions of the published methods' architectures, at most 2 MB each, without the published weights.
"""
import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from convert import torchscript
from export.base import refuse_to_replace, save_module
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
SIDE, DIMENSION = 80, 128
CANVAS = 184  # of a prepared photo; cloak detectors and purifiers see it unresized: resizing would remove the traces


class ResidualBlock(nn.Module):
    """iResNet's block: BN, conv, BN, PReLU, conv, BN, and a shortcut (Duta et al. 2020, as ArcFace uses it), but with
    ReLU: the backward pass of PReLU took a fifth of a training step on CPUs."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        plain = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity()
            if plain
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


def depthwise(width, side):
    """Weighs the places of the last map, for each channel (as MobileFaceNet). A mean would lose the places of things in
    an aligned face (small-clip knew half as many people with one); a dense layer would be most of the weights."""
    return nn.Conv2d(width, width, side, groups=width, bias=False)


def iresnet(widths, blocks):
    """Stages that halve the side."""
    layers = [nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    inputs = widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks)):
        for k in range(count):
            layers.append(ResidualBlock(inputs, width, 2 if k == 0 and stage > 0 else 1))
            inputs = width
    last = SIDE // 2 ** len(widths)
    layers += [nn.BatchNorm2d(inputs), depthwise(inputs, last), nn.BatchNorm2d(inputs), nn.Flatten(1)]
    return nn.Sequential(*layers, nn.Linear(inputs, DIMENSION, bias=False), nn.BatchNorm1d(DIMENSION))


def conv(inputs, outputs, kernel, stride=1):
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class InceptionBlock(nn.Module):
    """Parallel branches, joined by a 1×1 convolution, scaled and added (Szegedy et al. 2017,
    as FaceNet uses it)."""

    def __init__(self, width, branches, share):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = nn.LazyConv2d(width, 1)
        self.share = share

    def forward(self, x):
        seen = torch.cat([branch(x) for branch in self.branches], 1)
        return F.relu(x + self.share * self.join(seen))


class Reduction(nn.Module):
    def __init__(self, inputs, plain, deep):
        super().__init__()
        self.plain = conv(inputs, plain, 3, 2)
        self.deep = nn.Sequential(conv(inputs, deep, 1), conv(deep, deep, 3), conv(deep, deep, 3, 2))
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x):
        return torch.cat([self.plain(x), self.deep(x), self.pool(x)], 1)


def inception_resnet():
    def block_a(w):
        return InceptionBlock(
            w,
            [
                conv(w, 12, 1),
                nn.Sequential(conv(w, 12, 1), conv(12, 12, 3)),
                nn.Sequential(conv(w, 12, 1), conv(12, 16, 3), conv(16, 16, 3)),
            ],
            0.3,
        )

    def block_b(w):
        return InceptionBlock(
            w, [conv(w, 24, 1), nn.Sequential(conv(w, 24, 1), conv(24, 24, (1, 7)), conv(24, 32, (7, 1)))], 0.3
        )

    def block_c(w):
        return InceptionBlock(
            w, [conv(w, 32, 1), nn.Sequential(conv(w, 32, 1), conv(32, 40, (1, 3)), conv(40, 48, (3, 1)))], 0.3
        )

    layers = [conv(3, 16, 3, 2), conv(16, 32, 3), nn.MaxPool2d(3, 2, 1), conv(32, 48, 3)]  # 20 × 20
    layers += [block_a(48), block_a(48), Reduction(48, 32, 32)]  # 112 channels, 10 × 10
    layers += [block_b(112), block_b(112), Reduction(112, 48, 48)]  # 208 channels, 5 × 5
    layers += [
        block_c(208),
        block_c(208),
        depthwise(208, SIDE // 16),
        nn.Flatten(1),
        nn.Linear(208, DIMENSION, bias=False),
        nn.BatchNorm1d(DIMENSION),
    ]
    network = nn.Sequential(*layers)
    network(torch.zeros(2, 3, SIDE, SIDE))  # tells the lazy layers their width
    for module in network.modules():  # undo the call's changes
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_running_stats()
    return network


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width))


class TransformerBlock(nn.Module):
    """Pre-norm, as in CLIP's image tower (Radford et al. 2021)."""

    def __init__(self, width, heads):
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        )

    def forward(self, x):
        x = x + self.attend(x)
        return x + self.think(x)


class VisionTransformer(nn.Module):
    """Tokens of 8 × 8 pixels through a residual convolutional stem (the hybrid of Dosovitskiy et al. 2021), because few
    photos cannot train plain patches; a weight for each token instead of a class token."""

    def __init__(self, width=96, heads=4, depth=3):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            ResidualBlock(24, 48, 2),
            ResidualBlock(48, width, 2),
        )
        self.position = nn.Parameter(0.02 * torch.randn(1, (SIDE // 8) ** 2, width))
        self.blocks = nn.Sequential(*[TransformerBlock(width, heads) for _ in range(depth)], nn.LayerNorm(width))
        self.grid = SIDE // 8
        self.pool = depthwise(width, self.grid)
        self.project = nn.Linear(width, DIMENSION, bias=False)

    def forward(self, x):
        tokens = self.blocks(self.stem(x).flatten(2).transpose(1, 2) + self.position)
        return self.project(self.pool(tokens.transpose(1, 2).unflatten(2, (self.grid, self.grid))).flatten(1))


def textures(widths):
    """Convolutions and a mean over the picture: finds textures at any place. The first layer keeps every pixel."""
    layers = [conv(3, widths[0], 3)]
    for inputs, outputs in zip(widths, widths[1:]):
        layers.append(conv(inputs, outputs, 3, 2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


class HighFrequency(nn.Module):
    """A statistic to compare learnt networks with: the logarithm of the mean square of the difference between a pixel
    and its neighbours (a Laplacian)."""

    def __init__(self):
        super().__init__()
        kernel = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
        self.register_buffer("kernel", kernel.expand(3, 1, 3, 3).clone())
        self.scale = nn.Parameter(torch.ones(1))  # training needs a parameter; the others are in the head

    def forward(self, x):
        high = F.conv2d(x, self.kernel, groups=3)
        return self.scale * torch.log(high.square().mean(dim=[1, 2, 3]) + 1e-8).unsqueeze(1)


class Purifier(nn.Module):
    """The picture without what six convolutions find in it. The last one starts at zero, so that the network changes
    nothing at first. There is no batch norm: a picture must not depend on others."""

    def __init__(self, width):
        super().__init__()
        widths = [3] + 5 * [width] + [3]
        layers = []
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]
        self.residual = nn.Sequential(*layers[:-1])
        nn.init.zeros_(self.residual[-1].weight)
        nn.init.zeros_(self.residual[-1].bias)

    def forward(self, x):
        return torch.clamp(x - self.residual(x), 0.0, 1.0)


# name → network, template, title, side, dimension; a purifier, which gives pictures, has none
NETWORKS = {
    "small-facenet": (inception_resnet, "arcface-112", "Inception-ResNet in small", SIDE, DIMENSION),
    "small-arcface": (
        lambda: iresnet([24, 48, 80, 104], [1, 1, 2, 1]), "arcface-112", "iResNet in small", SIDE, DIMENSION
    ),
    "small-arcface-half": (
        lambda: iresnet([12, 24, 40, 52], [1, 1, 2, 1]), "arcface-112", "iResNet in small", SIDE, DIMENSION
    ),
    "small-arcface-double": (
        lambda: iresnet([48, 96, 160, 208], [1, 1, 2, 1]), "arcface-112", "iResNet in small", SIDE, DIMENSION
    ),
    "small-magface": (
        lambda: iresnet([24, 40, 72, 112], [1, 2, 2, 1]), "arcface-112", "iResNet in small", SIDE, DIMENSION
    ),
    "small-clip": (VisionTransformer, "arcface-112", "ViT in small", SIDE, DIMENSION),
    "small-surrogate": (
        lambda: iresnet([24, 40, 64, 88], [1, 1, 2, 2]), "arcface-112", "iResNet in small", SIDE, DIMENSION
    ),
    "textures": (lambda: textures([16, 32, 48, 64, 96]), "none", "Five convolutions", CANVAS, 96),
    "high-frequency": (HighFrequency, "none", "How much high frequency", CANVAS, 1),
    "small-purifier": (lambda: Purifier(24), "none", "Six convolutions that purify", CANVAS, None),
}  # fmt: skip


TITLE_END = ", fresh weights"


def is_fresh(path):
    """Did this script write the card? The card of a network trained from it has the same title."""
    try:
        card = json.loads(path.read_text())
        return card["title"].endswith(TITLE_END) and "trained_on" not in card
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write(name, seed, folder):
    make, template, title, side, dimension = NETWORKS[name]
    weights, card_path = folder / f"{name}.pt", folder / f"{name}.json"
    refuse_to_replace([card_path, weights], [], is_own=is_fresh(card_path))
    torch.manual_seed(seed)
    network = make().eval()
    card = {
        "title": f"{title}{TITLE_END}", "released": "none", "licence": "the project's", "file": f"./{name}.pt",
        "input": {"side": side, "template": template, "channels": "rgb", "scale": 255.0,
                  "mean": [127.5] * 3, "std": [127.5] * 3},
        "dimension": dimension,
    }  # fmt: skip
    if dimension is None:
        del card["dimension"]
        card["task"] = "purifier"
        card["input"] |= {"scale": 1.0, "mean": [0.0] * 3, "std": [1.0] * 3}
    parameters = sum(p.numel() for p in network.parameters())
    save_module(network, weights, card, card_path)
    print(f"{name}: {parameters} parameters, {weights.stat().st_size / 1e6:.2f} MB in {folder / name}.pt", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "models/fresh", metavar="FOLDER")
    options = parser.parse_args()
    for name in options.names:
        if name not in NETWORKS:
            parser.error(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or NETWORKS:
        write(name, options.seed, options.output)


if __name__ == "__main__":
    torchscript.fix_hashes()
    main()
