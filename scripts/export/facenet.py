#!/usr/bin/env python3
"""FaceNet: facenet-pytorch's checkpoints of Inception-ResNet v1, `20180402-114759-vggface2.pt` and `20180408-102900-casia-webface.pt`.

    .venv/bin/python scripts/export/facenet.py 20180402-114759-vggface2.pt [--name facenet] [-o FOLDER]

The layer that names the training set's people is dropped. The embedding has length one, as that package gives it.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, finish, load_into, load_state_dict, without_prefix  # noqa: E402


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def chain(*rows):
    """Convolutions, of (inputs, outputs, kernel, …); one alone keeps its own name in the checkpoint."""
    layers = [Conv(*row) for row in rows]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two or three branches, joined by a 1 × 1 convolution and added in part."""

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
    return Residual(256, [chain((256, 32, 1)), chain((256, 32, 1), (32, 32, 3, 1, 1)), chain((256, 32, 1), (32, 32, 3, 1, 1), (32, 32, 3, 1, 1))], 0.17)


def block17():
    return Residual(896, [chain((896, 128, 1)), chain((896, 128, 1), (128, 128, (1, 7), 1, (0, 3)), (128, 128, (7, 1), 1, (3, 0)))], 0.10)


def block8(scale=0.20, last=False):
    return Residual(1792, [chain((1792, 192, 1)), chain((1792, 192, 1), (192, 192, (1, 3), 1, (0, 1)), (192, 192, (3, 1), 1, (1, 0)))], scale, last)


class Reduction(nn.Module):
    """Halves the map: branches side by side, and a maximum."""

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
    """160 × 160 → 512, of length one."""

    def __init__(self):
        super().__init__()
        self.conv2d_1a, self.conv2d_2a, self.conv2d_2b = Conv(3, 32, 3, 2), Conv(32, 32, 3), Conv(32, 64, 3, 1, 1)
        self.conv2d_3b, self.conv2d_4a, self.conv2d_4b = Conv(64, 80, 1), Conv(80, 192, 3), Conv(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*[block35() for _ in range(5)])
        self.mixed_6a = Reduction(chain((256, 384, 3, 2)), chain((256, 192, 1), (192, 192, 3, 1, 1), (192, 256, 3, 2)))
        self.repeat_2 = nn.Sequential(*[block17() for _ in range(10)])
        self.mixed_7a = Reduction(chain((896, 256, 1), (256, 384, 3, 2)), chain((896, 256, 1), (256, 256, 3, 2)), chain((896, 256, 1), (256, 256, 3, 1, 1), (256, 256, 3, 2)))
        self.repeat_3 = nn.Sequential(*[block8() for _ in range(5)])
        self.block8 = block8(1.0, last=True)
        self.last_linear = nn.Linear(1792, 512, bias=False)
        self.last_bn = nn.BatchNorm1d(512, eps=0.001)

    def forward(self, x):
        x = F.max_pool2d(self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x))), 3, 2)
        x = self.repeat_1(self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(x))))
        x = self.block8(self.repeat_3(self.mixed_7a(self.repeat_2(self.mixed_6a(x)))))
        return F.normalize(self.last_bn(self.last_linear(x.mean([2, 3]))), dim=1)


def main(given=None):
    options = arguments(__doc__, "facenet").parse_args(given)
    tensors = without_prefix(load_state_dict(options.checkpoint), ["module."])
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("logits.")}
    finish(load_into(InceptionResnetV1(), tensors, f"{options.checkpoint} is not facenet-pytorch's Inception-ResNet v1"), "facenet", options)


if __name__ == "__main__":
    main()
