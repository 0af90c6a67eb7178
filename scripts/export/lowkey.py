#!/usr/bin/env python3
"""Exports LowKey's four surrogates: face.evoLVe's IR-152 and ResNet-152, each trained with ArcFace and CosFace loss.

    .venv/bin/python scripts/export/lowkey.py Backbone_IR_152_Arcface_Epoch_112.pth [--name lowkey-ir152-arcface]
        [-o FOLDER]

LowKey's code attacks two of them only, the CosFace-trained ones: it loads the ArcFace file of an architecture and then
the CosFace file into the same network (preset lowkey; all four: lowkey-paper). The other files:
Backbone_IR_152_Cosface_Epoch_70.pth, Backbone_ResNet_152_Arcface_Epoch_65.pth,
Backbone_ResNet_152_Cosface_Epoch_68.pth.
The tensors show the network; only the file's name shows the loss. No package of a registry has the networks; layer
names and shapes are those of ZhaoJ9014/face.evoLVe, backbone/model_irse.py and model_resnet.py (read at a9897bd), which
LowKey's code contains too.
"""
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, fail, finish, load_into, load_state_dict, unwrap  # noqa: E402
from export.ir import IR  # noqa: E402

BLOCKS = (3, 8, 36, 3)
NETWORKS = {"ir152": "IR-152", "resnet152": "ResNet-152"}
LOSSES = ("arcface", "cosface")


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))
        self.downsample = shortcut if inputs != 4 * width else nn.Identity()

    def forward(self, x):
        inner = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


class ResNet(nn.Module):
    """112 × 112 → 512."""

    def __init__(self, blocks):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, count in enumerate(blocks):
            width = 64 << stage
            first = Bottleneck(inputs, width, 1 if stage == 0 else 2)
            setattr(
                self,
                f"layer{stage + 1}",
                nn.Sequential(first, *[Bottleneck(4 * width, width, 1) for _ in range(count - 1)]),
            )
            inputs = 4 * width
        self.bn_o1, self.fc, self.bn_o2 = nn.BatchNorm2d(2048), nn.Linear(2048 * 4 * 4, 512), nn.BatchNorm1d(512)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.bn_o2(self.fc(torch.flatten(self.bn_o1(x), 1)))


def build(path):
    """The module and its kind, as the cards' names spell it."""
    tensors = load_state_dict(path)
    tensors = unwrap(tensors, "body.") or unwrap(tensors, "layer1.") or tensors
    if any(name.startswith("body.") for name in tensors):
        return load_into(IR(BLOCKS, adaface=False), tensors, f"{path} is not face.evoLVe's IR-152"), "ir152"
    return load_into(ResNet(BLOCKS), tensors, f"{path} is neither face.evoLVe's IR-152 nor its ResNet-152"), "resnet152"


def card_name(path, kind, name):
    """name: what the user asked for, or None."""
    said = [loss for loss in LOSSES if loss in path.name.lower()]
    if name is None and len(said) != 1:
        fail(
            f"{path} holds {NETWORKS[kind]}; "
            "its name does not say whether ArcFace's or CosFace's loss trained it: give --name"
        )
    name = name or f"lowkey-{kind}-{said[0]}"
    for other in NETWORKS:
        if other != kind and name.startswith(f"lowkey-{other}-"):
            fail(f"{path} holds {NETWORKS[kind]}, not for the card {name}")
    for loss in LOSSES:
        if name == f"lowkey-{kind}-{loss}" and said not in ([], [loss]):
            fail(f"{path} has another loss in its name, so it is not for the card {name}")
    return name


def main(given=None):
    parser = arguments(__doc__, "lowkey-ir152-arcface and so on, by the file")
    parser.set_defaults(name=None)
    options = parser.parse_args(given)
    module, kind = build(options.checkpoint)
    options.name = card_name(options.checkpoint, kind, options.name)
    finish(module, f"lowkey-{kind}-arcface", options, NETWORKS[kind])


if __name__ == "__main__":
    main()
