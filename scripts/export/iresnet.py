"""iResNet as in InsightFace's arcface_torch (Duta et al. 2020, Deng et al. 2019): the network of ArcFace's and
MagFace's published weights.

No package of a registry has the architecture; layer names and shapes are those of deepinsight/insightface,
recognition/arcface_torch/backbones/iresnet.py (read at 7fadd42), and, with another epsilon, of IrvingMeng/MagFace,
models/iresnet.py (read at 99bae61).
"""
import torch
from torch import nn

WIDTHS = (64, 128, 256, 512)
DEPTHS = {(2, 2, 2, 2): 18, (3, 4, 6, 3): 34, (3, 4, 14, 3): 50, (3, 13, 30, 3): 100, (6, 26, 60, 6): 200}


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.downsample = shortcut if stride > 1 else nn.Identity()

    def forward(self, x):
        return self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x)))))) + self.downsample(x)


class IResNet(nn.Module):
    """112 × 112 → 512. eps: of every normalisation."""

    def __init__(self, blocks, eps=1e-5):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        inputs = 64
        for stage, (width, count) in enumerate(zip(WIDTHS, blocks), 1):
            rest = [Block(width, width, 1) for _ in range(count - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(Block(inputs, width, 2), *rest))
            inputs = width
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)
        for layer in self.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.eps = eps

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(torch.flatten(self.bn2(x), 1)))


def blocks_of(tensors):
    """The number of blocks of each stage, by the names of a checkpoint's tensors; zeros for another family."""
    found = [{name.split(".")[1] for name in tensors if name.startswith(f"layer{stage}.")} for stage in (1, 2, 3, 4)]
    return tuple(len(numbers) for numbers in found)
