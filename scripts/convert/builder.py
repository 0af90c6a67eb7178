"""Builds a torch.fx graph (NCHW, free batch) from the operations of a foreign network.

Weights are OIHW. Shapes leave the batch out: (C, H, W) or (D,). The methods' results may be
pending (see pending.py); constants are NumPy arrays.
"""
import operator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from .pending import Affine, Kinked, Padded, Tensor, pair, per_channel, same_padding

# Smaller weights become zero. Some networks hold weights that decayed to almost zero. They change no
# output, but CPUs are slow at their denormal products: faceplugin takes seven times as long.
TINY = 1e-20
# The batch size for computing shapes: a prime that no other axis has, so that the result shows where the batch is.
BATCH = 7919


class Builder:
    def __init__(self, shape, flatten_order="chw"):
        """flatten_order: how the foreign network flattens a picture: "chw" (ONNX), "hwc" (TensorFlow)
        or "whc" (TensorFlow fed with transposed pictures)."""
        self.graph, self.root, self.flatten_order = fx.Graph(), nn.Module(), flatten_order
        self.input = Tensor(self.graph.placeholder("x"), tuple(shape))

    # -- graph nodes -------------------------------------------------------------------------
    def parameter(self, array):
        if array.dtype.kind in "iu":  # whole numbers are not trained
            name = f"b{len(self.root._buffers)}"
            self.root.register_buffer(name, torch.from_numpy(array.astype(np.int64)))
            return self.graph.get_attr(name)
        name = f"p{len(self.root._parameters)}"
        array = np.where(np.abs(array) < TINY, 0, array)
        self.root.register_parameter(name, nn.Parameter(torch.from_numpy(array.astype(np.float32))))
        return self.graph.get_attr(name)

    def emit(self, shape, function, *args, **kwargs):
        return Tensor(self.graph.call_function(function, args, kwargs), tuple(shape))

    def apply(self, function, *arguments, **named):
        """Applies a function of PyTorch to values anywhere among its arguments; constants become parameters. The
        shapes of the results are found by running the function on meta tensors."""
        given = replaced((arguments, named), lambda v: v if isinstance(v, np.ndarray) else self.tensor(v))
        arguments, named = replaced(given, without_numbers)
        shapes = function(*arguments, **named)
        node = self.graph.call_function(function, *replaced(given, self.node))
        if isinstance(shapes, torch.Tensor):
            return of_shape(node, shapes)
        return [of_shape(self.graph.call_function(operator.getitem, (node, k)), s) for k, s in enumerate(shapes)]

    def node(self, v):
        return self.parameter(v) if isinstance(v, np.ndarray) else v.node

    def tensor(self, v):
        """The value as a node of the graph; a pending value is emitted once."""
        if isinstance(v, Tensor):
            return v
        if v.tensor is None:
            v.tensor = self.EMIT[type(v)](self, v)
        return v.tensor

    def emit_affine(self, a):
        bias = None if a.bias is None else self.parameter(a.bias)
        return self.emit(a.shape, a.function, a.x.node, self.parameter(a.weight), bias, *a.options)

    def emit_kinked(self, k):
        x = k.base
        if np.all(k.pos == 1) and np.all(k.neg == 1):
            return x
        if np.all(k.pos == 1) and np.all(k.neg == 0):
            return self.apply(F.relu, x)
        if not np.all(k.pos == k.neg):
            if np.any(k.pos == 0):
                raise NotImplementedError("an activation that is zero above zero")
            x = self.apply(F.prelu, x, np.atleast_1d(k.neg / k.pos))
        if not np.all(k.pos == 1):
            x = self.apply(operator.mul, x, self.constant(k.pos, x))
        return x

    def emit_padded(self, p):
        t, b, l, r = p.padding
        return self.emit(p.shape, F.pad, p.x.node, [l, r, t, b])

    EMIT = {Affine: emit_affine, Kinked: emit_kinked, Padded: emit_padded}

    def constant(self, c, x):
        """A constant as an argument that broadcasts over the channels of x."""
        return float(c) if np.ndim(c) == 0 else np.reshape(c, (-1, *[1] * (len(x.shape) - 1)))

    def module(self, *outputs):
        nodes = tuple(self.tensor(v).node for v in outputs)
        self.graph.output(nodes if len(nodes) > 1 else nodes[0])
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph).eval()

    # -- elementwise -------------------------------------------------------------------------
    def kinked(self, v):
        return v if isinstance(v, Kinked) else Kinked(self.tensor(v), np.float64(1), np.float64(1))

    def mul(self, a, b):
        if isinstance(a, np.ndarray):
            a, b = b, a
        if not isinstance(b, np.ndarray):
            return self.apply(operator.mul, a, b)
        if isinstance(a, Affine) and a.tensor is None:
            return a.scaled(per_channel(b, a.shape[0]))
        a = self.kinked(a)
        return a.times(per_channel(b, a.base.shape[0]).astype(np.float64))

    def add(self, a, b):
        if isinstance(a, np.ndarray):
            a, b = b, a
        if isinstance(b, np.ndarray):
            return self.add_constant(a, b)
        a, b = self.kinked(a), self.kinked(b)
        if a.base.node is b.base.node:
            return Kinked(a.base, a.pos + b.pos, a.neg + b.neg)
        return self.apply(operator.add, a, b)

    def add_constant(self, a, c):
        c = per_channel(c, a.shape[0])
        if isinstance(a, Affine) and a.tensor is None:
            return a.shifted(c)
        a = self.tensor(a)
        return self.apply(operator.add, a, self.constant(c, a))

    def neg(self, v):
        return np.asarray(-v) if isinstance(v, np.ndarray) else self.kinked(v).times(-1.0)

    def sub(self, a, b):
        return self.add(a, self.neg(b))

    def div(self, a, b):
        if not isinstance(b, np.ndarray):
            return self.apply(operator.truediv, float(a) if np.ndim(a) == 0 and isinstance(a, np.ndarray) else a, b)
        return self.mul(a, np.asarray(1 / b.astype(np.float64)))

    def abs(self, v):
        k = self.kinked(v)
        return Kinked(k.base, np.abs(k.pos), -np.abs(k.neg))

    def relu(self, v):
        k = self.kinked(v)
        return Kinked(k.base, np.maximum(k.pos, 0), np.minimum(k.neg, 0))

    def prelu(self, v, slope):
        x = self.tensor(v)
        return Kinked(x, np.float64(1), per_channel(slope, x.shape[0]).astype(np.float64))

    def minimum(self, a, b):
        v, c = (b, a) if isinstance(a, np.ndarray) else (a, b)
        if float(c) == 0:
            return self.neg(self.relu(self.neg(v)))
        if isinstance(v, Kinked) and np.all(v.pos > 0) and np.all(v.neg == 0) and float(c) > 0:
            x = Kinked(v.base, v.pos, v.pos)  # what the ReLU was applied to
            return replace(self.apply(F.hardtanh, x, 0.0, float(c)), lowest=0.0)  # ReLU6
        raise NotImplementedError("minimum other than with zero or after a ReLU")

    def maximum(self, a, b):
        v, c = (b, a) if isinstance(a, np.ndarray) else (a, b)
        if isinstance(v, Tensor) and v.lowest >= float(c):
            return v
        if float(c) == 0:
            return self.relu(v)
        raise NotImplementedError("maximum other than with zero")

    def batch_norm(self, v, scale, bias, mean, variance, epsilon):
        k = scale / np.sqrt(variance.astype(np.float64) + epsilon)
        return self.add(self.mul(v, k), bias - mean * k)

    # -- layers ------------------------------------------------------------------------------
    def conv(self, v, weight, bias=None, stride=1, padding="valid", groups=1, dilation=1):
        """padding: "same", "valid" or (top, bottom, left, right)."""
        (_, h, w), stride, dilation = v.shape, pair(stride), pair(dilation)
        kernel = [(n - 1) * d + 1 for n, d in zip(weight.shape[2:], dilation)]
        if padding == "same":
            padding = same_padding(h, kernel[0], stride[0]) + same_padding(w, kernel[1], stride[1])
        v = self.padded(v, (0, 0, 0, 0) if padding == "valid" else padding)
        _, h, w = v.shape
        shape = (weight.shape[0], (h - kernel[0]) // stride[0] + 1, (w - kernel[1]) // stride[1] + 1)
        t, b, l, r = v.padding
        # F.conv2d itself pads both sides equally. (A larger kernel with zeros would avoid F.pad, but
        # is slower with gradients.)
        x, t, l = (v.x, t, l) if (t, l) == (b, r) else (self.tensor(v), 0, 0)
        return Affine(F.conv2d, x, weight, bias, (stride, (t, l), dilation, groups), shape)

    def linear(self, v, weight, bias=None):
        """weight: (out, in), with the inputs in the foreign network's order."""
        x = self.tensor(v)
        x = self.flatten(x) if len(x.shape) == 3 else x
        if x.picture:
            c, h, w = x.picture
            sizes = {"c": c, "h": h, "w": w}
            axes = [1 + self.flatten_order.index(axis) for axis in "chw"]
            weight = weight.reshape(-1, *[sizes[axis] for axis in self.flatten_order])
            weight = weight.transpose(0, *axes).reshape(weight.shape[0], -1)
        return Affine(F.linear, x, weight, bias, (), weight.shape[:1])

    def flatten(self, v):
        x = self.tensor(v)
        t = self.emit((prod(x.shape),), torch.flatten, x.node, 1)
        # (one pixel has only one order)
        return replace(t, picture=x.shape if x.shape[1:] != (1, 1) else None)

    def padded(self, v, padding):
        """Adds zeros around a picture, (top, bottom, left, right), to those already pending."""
        if isinstance(v, Padded):
            return Padded(v.x, tuple(map(sum, zip(v.padding, padding))))
        return Padded(self.tensor(v), tuple(padding))

    def append_channels(self, v, count):
        """Appends channels of zeros."""
        x = self.tensor(v)
        c, h, w = x.shape
        return self.emit((c + count, h, w), F.pad, x.node, [0, 0, 0, 0, 0, count])

    def concatenate(self, values):
        """Along the channels."""
        parts = [self.tensor(v) for v in values]
        channels = sum(part.shape[0] for part in parts)
        return self.emit((channels, *parts[0].shape[1:]), torch.cat, [part.node for part in parts], 1)

    def max_pool(self, v, kernel, stride, padding="valid"):
        x = self.tensor(v)
        same = padding == "same"
        if same and any(same_padding(n, kernel, stride)[0] for n in x.shape[1:]):
            raise NotImplementedError("SAME max pooling that pads before the picture")
        # ceil_mode pads only after the picture, which equals SAME for every picture size here.
        sizes = [-(-n // stride) if same else (n - kernel) // stride + 1 for n in x.shape[1:]]
        return self.emit((x.shape[0], *sizes), F.max_pool2d, x.node, kernel, stride, 0, 1, same)

    def avg_pool(self, v, size):
        x = self.tensor(v)
        return self.emit((x.shape[0], *[n // size for n in x.shape[1:]]), F.avg_pool2d, x.node, size, size)

    def mean(self, v):
        """The mean over the picture."""
        x = self.tensor(v)
        return self.emit(x.shape[:1], torch.mean, x.node, [2, 3])


def replaced(arguments, change):
    """The arguments with each value and constant changed, also in lists."""
    if isinstance(arguments, dict):
        return {name: replaced(value, change) for name, value in arguments.items()}
    if isinstance(arguments, (list, tuple)):
        return type(arguments)(replaced(value, change) for value in arguments)
    return change(arguments) if isinstance(arguments, (np.ndarray, Tensor, Affine, Kinked, Padded)) else arguments


def without_numbers(v):
    """A meta tensor of the value's shape, in a batch of BATCH."""
    if isinstance(v, np.ndarray):
        return torch.empty(v.shape, dtype=torch.int64 if v.dtype.kind in "iu" else None, device="meta")
    return torch.empty((*v.shape[: v.batch], BATCH, *v.shape[v.batch :]), device="meta")


def of_shape(node, found):
    axes = [axis for axis, size in enumerate(found.shape) if size == BATCH]
    if len(axes) != 1:
        raise NotImplementedError("an operation that joins the batch with another axis, or loses it")
    (axis,) = axes
    return Tensor(node, (*found.shape[:axis], *found.shape[axis + 1 :]), axis)


def needed(operations, outputs):
    """The (topologically sorted) operations that the outputs depend on."""
    wanted, kept = set(outputs), []
    for op in reversed(operations):
        if wanted.intersection(op.outputs):
            wanted.update(op.inputs)
            kept.append(op)
    return kept[::-1]


@dataclass
class Operation:
    kind: str
    inputs: list
    outputs: list
    attributes: object

    @property
    def output(self):
        return self.outputs[0]
