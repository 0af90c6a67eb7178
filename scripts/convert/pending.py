"""What an operation of a foreign network gives: a tensor, or something still pending.

Converted graphs spell simple layers as many small operations. Three kinds of value therefore
stay pending until a tensor is really needed, so that few and fast operations come out:

  Affine  a convolution or dense layer. Multiplying by or adding a constant (what is left of a
          BatchNorm in such graphs) changes its weights instead of adding operations.
  Padded  zeros around a picture, which a convolution can mostly add by itself.
  Kinked  pos*max(x, 0) + neg*min(x, 0) with one slope per channel. ReLU, negation, absolute value
          and their sums all have this form, so every spelling of PReLU becomes one F.prelu.
"""
from dataclasses import dataclass, replace

import numpy as np
from torch import fx


@dataclass
class Tensor:
    node: fx.Node
    shape: tuple  # without the batch
    batch: int = 0  # which axis the batch is
    # Of a flattened picture: its (C, H, W), for the foreign order of the numbers has to be undone
    # in the dense layer that follows.
    picture: tuple | None = None
    lowest: float = -np.inf  # a lower bound of the values, known after a clamp


@dataclass
class Affine:
    function: object  # F.conv2d or F.linear
    x: Tensor
    weight: np.ndarray  # first axis: output channels
    bias: np.ndarray | None
    options: tuple  # what the function takes after the bias
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
    """Zeros around a picture; a convolution that follows takes them over."""

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
    """Of a stride or a window: height and width."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value, value)


def per_channel(constant, channels):
    """A constant as a scalar array or one number per channel, however many 1-sized axes it has."""
    c = np.squeeze(np.asarray(constant))
    if c.ndim > 1 or c.size not in (1, channels):
        raise NotImplementedError(f"a constant of shape {constant.shape} for {channels} channels")
    return c


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: zeros before and after. With stride 2 mostly one more after than before."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
