"""Results of a foreign network's operations: tensors, or pending values.

Converted graphs write simple layers as many small operations. Three kinds of value therefore
stay pending until a tensor is really needed, so that the result has few and fast operations:

  Affine  a convolution or dense layer. Multiplying by or adding a constant (the rest of a
          BatchNorm in such graphs) changes its weights instead of adding operations.
  Padded  zeros around a picture, which a convolution can mostly add by itself.
  Kinked  pos*max(x, 0) + neg*min(x, 0) with one slope per channel. ReLU, negation, absolute value
          and their sums all have this form, so every form of PReLU becomes one F.prelu.
"""
from dataclasses import dataclass, replace

import numpy as np
from torch import fx


@dataclass
class Tensor:
    node: fx.Node
    shape: tuple  # without the batch
    batch: int = 0  # the axis of the batch
    # The (C, H, W) of a flattened picture: the dense layer that follows must undo the foreign order
    # of its numbers.
    picture: tuple | None = None
    lowest: float = -np.inf  # a lower bound of the values, known after a clamp


@dataclass
class Affine:
    function: object  # F.conv2d or F.linear
    x: Tensor
    weight: np.ndarray  # first axis: output channels
    bias: np.ndarray | None
    options: tuple  # the function's arguments after the bias
    shape: tuple
    tensor: Tensor | None = None

    def scaled(self, k):
        k = np.broadcast_to(k, self.weight.shape[:1]).astype(np.float64)
        weight = self.weight * k.reshape(-1, *[1] * (self.weight.ndim - 1))
        return replace(self, weight=weight, bias=None if self.bias is None else self.bias * k, tensor=None)

    def shifted(self, c):
        bias = np.zeros(self.weight.shape[0]) if self.bias is None else self.bias
        return replace(self, bias=bias + c.astype(np.float64), tensor=None)


@dataclass
class Padded:
    """Zeros around a picture; a following convolution can add them itself."""

    x: Tensor
    padding: tuple  # top, bottom, left, right
    tensor: Tensor | None = None

    @property
    def shape(self):
        (c, h, w), (t, b, l, r) = self.x.shape, self.padding
        return (c, h + t + b, w + l + r)


@dataclass
class Kinked:
    base: Tensor
    pos: np.ndarray
    neg: np.ndarray
    tensor: Tensor | None = None

    @property
    def shape(self):
        return self.base.shape

    def times(self, k):
        return Kinked(self.base, self.pos * k, self.neg * k)


def pair(value):
    """Height and width of a stride or a window."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value, value)


def per_channel(constant, channels):
    """A constant as a scalar array or one number per channel, however many 1-sized axes it has."""
    c = np.squeeze(np.asarray(constant))
    if c.ndim > 1 or c.size not in (1, channels):
        raise NotImplementedError(f"a constant of shape {constant.shape} for {channels} channels")
    return c


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: zeros before and after. With stride 2 there is mostly one more after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
