"""IR, a second family of residual networks for faces: that of AdaFace's and face.evoLVe's published weights.

No package of a registry has them; layer names and shapes are those of mk-minchul/AdaFace, net.py (read at c60eaa7), and
of ZhaoJ9014/face.evoLVe, backbone/model_irse.py (read at a9897bd), which LowKey's code carries too.
"""
import re

import torch.nn.functional as F
from torch import nn

WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, adaface):
        super().__init__()
        between = [nn.BatchNorm2d(outputs)] if adaface else []
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), *between, nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))  # fmt: skip
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)  # only leaves out pixels
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class IR(nn.Module):
    """112 × 112 → 512. AdaFace has one more normalisation in each block, no learnt factors in the last one, and gives
    embeddings of length one."""

    def __init__(self, blocks, adaface):
        super().__init__()
        self.adaface = adaface
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        body, inputs = [], 64
        for width, count in zip(WIDTHS, blocks):
            body += [Block(inputs, width, 2, adaface), *[Block(width, width, 1, adaface) for _ in range(count - 1)]]
            inputs = width
        self.body = nn.Sequential(*body)
        # The Identity replaces their dropout.
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Identity(), nn.Flatten(), nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512, affine=not adaface))  # fmt: skip

    def forward(self, x):
        x = self.output_layer(self.body(self.input_layer(x)))
        return F.normalize(x, dim=1) if self.adaface else x


def blocks_of(tensors):
    """The number of blocks of each stage, by the widths of a checkpoint's blocks; zeros for another family."""
    first = re.compile(r"body\.\d+\.res_layer\.1\.weight")
    widths = [len(tensor) for name, tensor in tensors.items() if first.fullmatch(name) and tensor.ndim == 4]
    return tuple(widths.count(width) for width in WIDTHS)
