"""EfficientNet-Lite0 (ImageNet), and the distance of two pictures in its features.

The package has only weights and no graph, so the network is defined here. (The graph builder is not used, because it
fixes the picture's size, and this network compares pictures of any size.)
"""
import io
from typing import List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Blocks, kernel, stride of the first block, expansion factor, output channels.
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
          (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]  # fmt: skip
STEM, HEAD, CLASSES = 32, 1280, 1000
EPSILON = 1e-3  # of the BatchNorms
# The depths at which two pictures are compared: the end of the stem, and of the last stages at 1/2, 1/4, 1/8, 1/16 and
# 1/32 of the picture's size.
COMPARED = (0, 1, 2, 3, 5, 7)


class Convolution(nn.Conv2d):
    """TensorFlow's SAME convolution for any picture size. An odd row or column of zeros is at the bottom or right."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups)
        self.size, self.step = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        high = max(self.size - 1 - (x.shape[2] - 1) % self.step, 0)
        wide = max(self.size - 1 - (x.shape[3] - 1) % self.step, 0)
        if high % 2 == 0 and wide % 2 == 0:  # both sides are equal: the convolution itself pads faster
            return F.conv2d(x, self.weight, self.bias, self.stride, [high // 2, wide // 2], 1, self.groups)
        x = F.pad(x, [wide // 2, wide - wide // 2, high // 2, high - high // 2])
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


class Block(nn.Module):
    """Expands (except the very first block), convolves each channel, projects; has a shortcut if the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, factor: int):
        super().__init__()
        wide = inputs * factor
        self.expand = Convolution(inputs, wide) if factor > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, wide)
        self.project = Convolution(wide, outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None:
            y = F.relu6(self.expand(y))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.shortcut else y


class Lite0(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.stages, channels = Convolution(3, STEM, 3, 2), nn.ModuleList(), STEM
        for count, kernel, stride, factor, outputs in STAGES:
            blocks = [Block(channels, outputs, kernel, stride, factor)]
            blocks += [Block(outputs, outputs, kernel, 1, factor) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*blocks))
            channels = outputs
        self.head, self.classifier = Convolution(channels, HEAD), nn.Linear(HEAD, CLASSES)
        self.compared: List[int] = list(COMPARED)

    def features(self, x: Tensor) -> List[Tensor]:
        """The stem's output and each stage's, of N×3×H×W, RGB, (x - 127) / 128 with x in 0..255."""
        found = [F.relu6(self.stem(x))]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """N×1000 logits of the same input."""
        return self.classifier(F.relu6(self.head(self.features(x)[-1])).mean([2, 3]))

    @torch.jit.export
    def seen(self, x: Tensor) -> List[Tensor]:
        """The features that apart() compares, at each depth, for N×3×H×W pictures, RGB in [0,1]."""
        found = self.features((255 * x - 127) / 128)
        return [found[k] for k in self.compared]

    @torch.jit.export
    def apart(self, a: List[Tensor], b: List[Tensor]) -> Tensor:
        """N distances between the features of two batches of pictures: LPIPS without its learnt heads. Features get
        length one at each place of the picture. Their squared difference is summed over channels, averaged over places
        and summed over depths. Differentiable; for equal pictures the distance and its gradient are 0."""
        distance = torch.zeros_like(a[0][:, 0, 0, 0])
        for k in range(len(a)):
            distance = distance + (direction(a[k]) - direction(b[k])).square().sum(1).mean([1, 2])
        return distance


def direction(x: Tensor) -> Tensor:
    # A plain root of a sum of squares has the gradient NaN where all channels are zero; vector_norm has 0.
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)


def build_lite0(pth):
    """Builds the module from the .pth file's bytes. Only tensors are read from the pickle."""
    tensors = torch.load(io.BytesIO(pth), map_location="cpu", weights_only=True)
    module = Lite0()
    module.load_state_dict(folded(tensors, module))
    return module.eval().requires_grad_(False)


def folded(tensors, module):
    """The file's tensors by our names, with each BatchNorm folded into the convolution before it."""
    ours = {f"classifier.{part}": tensors[f"_fc.{part}"] for part in ("weight", "bias")}
    for name, layer, norm in layers(module):
        scale = tensors[f"{norm}.weight"] / torch.sqrt(tensors[f"{norm}.running_var"].double() + EPSILON)
        ours[f"{name}.weight"] = (tensors[f"{layer}.weight"] * scale.view(-1, 1, 1, 1)).float()
        ours[f"{name}.bias"] = (tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale).float()
    return ours


def layers(module):
    """For each convolution: its name here, its name in the file, its BatchNorm's name in the file."""
    yield "stem", "_conv_stem", "_bn0"
    numbered = [f"stages.{s}.{b}" for s, stage in enumerate(module.stages) for b in range(len(stage))]
    for number, name in enumerate(numbered):
        for part, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            if getattr(module.get_submodule(name), part) is not None:
                yield f"{name}.{part}", f"_blocks.{number}._{part}_conv", f"_blocks.{number}.{norm}"
    yield "head", "_conv_head", "_bn1"
