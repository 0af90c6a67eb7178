"""Reads an ONNX network as a torch.fx GraphModule that takes any number of N×3×H×W pictures.

The network's own batch becomes free. A shape that the graph computes is a constant, with BATCH in the place of the
batch. onnx's own interpreter computes everything that depends only on constants. Quantised values become the real
numbers that they stand for, so that quantising a value only clamps it.
"""
import operator
from math import prod

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from onnx.inliner import inline_local_functions
from onnx.reference import ReferenceEvaluator

from .builder import BATCH, Builder, Operation, needed
from .pending import Kinked, same_padding

REAL = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)


def read_onnx(data):
    return read_model(onnx.load_from_string(data))[0]


def read_model(model, rounding=False):
    """The module, and whether the graph quantises its values. rounding: whether the module rounds where the graph
    does. It then has no gradient, and the pictures of a batch depend on each other; use it only to compare with a
    runtime, one picture at a time."""
    model = inline_local_functions(model)
    values = {tensor.name: constant(tensor) for tensor in model.graph.initializer}
    (source,) = [i for i in model.graph.input if i.name not in values]
    outputs = [o.name for o in model.graph.output]

    shape = [d.dim_value for d in source.type.tensor_type.shape.dim]
    last = len(shape) == 4 and shape[1] != 3 and shape[3] == 3  # the axis of the channels, as in TensorFlow
    builder = OnnxBuilder([3, *shape[1:3]] if last else shape[1:], model.opset_import, rounding)
    values[source.name] = builder.apply(torch.permute, builder.input, [0, 2, 3, 1]) if last else builder.input
    operations = [Operation(n.op_type, n.input, n.output, n) for n in model.graph.node]
    for op in needed(operations, outputs):
        found = read_node(builder, op.attributes, [values[name] if name else None for name in op.inputs])
        values.update(zip(op.outputs, found))
    return builder.module(*[values[name] for name in outputs]), builder.quantised


def read_node(builder, node, inputs):
    """The node's outputs."""
    attributes = attributes_of(node)
    if node.op_type == "Constant":
        return [constant(*attributes.values())]
    if folds(node, inputs):
        return builder.computed(node, inputs)
    if node.op_type not in READERS:
        raise NotImplementedError(f"ONNX operation {node.op_type}")
    if node.op_type in PICTURES and any(getattr(v, "batch", 0) for v in inputs):
        raise NotImplementedError(f"{node.op_type} where the batch is not the first axis")
    found = READERS[node.op_type](builder, inputs, attributes)
    return found if isinstance(found, (list, tuple)) else [found]


def folds(node, inputs):
    """Whether a node's outputs are constants that onnx's interpreter computes."""
    if node.op_type in ("QuantizeLinear", "DequantizeLinear") or node.op_type == "Expand" and BATCH in inputs[1]:
        return False
    return all(v is None or isinstance(v, np.ndarray) for v in inputs)


def attributes_of(node):
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def constant(value):
    """The array of a tensor, a number or a list of numbers from a file. Real numbers become float32."""
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
    return array.astype(np.float32) if array.dtype.name in ("float16", "bfloat16", "float64") else array


class OnnxBuilder(Builder):
    def __init__(self, shape, opsets, rounding):
        super().__init__(shape)
        self.opsets, self.rounding, self.quantised = opsets, rounding, False

    @property
    def opset(self):
        return next(entry.version for entry in self.opsets if entry.domain in ("", "ai.onnx"))

    def computed(self, node, inputs):
        """The outputs of a node that has only constant inputs."""
        named = {name: array for name, array in zip(node.input, inputs) if name}
        ends = [[helper.make_value_info(name, onnx.TypeProto()) for name in names] for names in (named, node.output)]
        graph = helper.make_graph([node], "constants", *ends)
        evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=self.opsets))
        return [constant(np.asarray(found)) for found in evaluator.run(None, named)]

    def full_shape(self, v):
        """The shape with the batch."""
        x = self.tensor(v)
        return [*x.shape[: x.batch], BATCH, *x.shape[x.batch :]]

    def axis(self, axis, v):
        return axis % (len(v.shape) + 1)

    def plain(self, c, v):
        """The constant if it is one number, or one number for each channel; else None."""
        if not isinstance(c, np.ndarray) or c.size == 1 and c.ndim <= len(v.shape) + 1:
            return c
        shape = (1,) * (len(v.shape) + 1 - c.ndim) + c.shape
        channels = len(shape) == len(v.shape) + 1 and not getattr(v, "batch", 0) and shape[1] == v.shape[0]
        return c if channels and c.size == shape[1] else None


# -- arithmetic ------------------------------------------------------------------------------------------------------
def arithmetic(on_values, function):
    """on_values: the builder's method, which folds numbers and constants per channel into layers."""

    def read(builder, inputs, _):
        a, b = inputs
        v, c = (b, a) if isinstance(a, np.ndarray) else (a, b)
        folds = builder.plain(c, v) is not None
        return on_values(builder, a, b) if folds else builder.apply(function, a, b)

    return read


def by_torch(function, **named):
    return lambda builder, inputs, _: builder.apply(function, *inputs, **named)


def clip(builder, inputs, attributes):
    v, low, high = [*inputs, None, None][:3]
    low, high = attributes.get("min", low), attributes.get("max", high)
    low, high = [None if c is None or abs(c) > 3e38 else float(c) for c in (low, high)]
    return clamped(builder, v, low, high)


def clamped(builder, v, low, high):
    if (low, high) == (0, None):
        return builder.relu(v)
    if low is not None and high is not None:
        return builder.apply(F.hardtanh, v, low, high)
    return v if low is high is None else builder.apply(torch.clamp, v, low, high)


def extreme(function, low):
    """Min and Max of values and numbers."""

    def read(builder, inputs, _):
        found, *others = sorted(inputs, key=lambda v: isinstance(v, np.ndarray))
        for other in others:
            limit = [float(other), None] if isinstance(other, np.ndarray) and other.size == 1 else None
            found = clamped(builder, found, *limit[:: 1 if low else -1]) if limit else builder.apply(
                function, found, other
            )
        return found

    return read


def prelu(builder, inputs, _):
    v, slope = inputs
    if not isinstance(slope, np.ndarray) or builder.plain(slope, v) is None:
        raise NotImplementedError("a PRelu without one slope for each channel")
    return builder.prelu(v, slope)


def leaky(builder, inputs, attributes):
    return Kinked(builder.tensor(inputs[0]), np.float64(1), np.float64(attributes.get("alpha", 0.01)))


def hard_sigmoid(builder, inputs, attributes):
    scaled = builder.apply(operator.mul, inputs[0], attributes.get("alpha", 0.2))
    return builder.apply(torch.clamp, builder.apply(operator.add, scaled, attributes.get("beta", 0.5)), 0.0, 1.0)


def gelu(builder, inputs, attributes):
    return builder.apply(F.gelu, inputs[0], approximate=attributes.get("approximate", b"none").decode())


def power(builder, inputs, _):
    base, exponent = inputs
    if not isinstance(exponent, np.ndarray) or exponent.size != 1:
        raise NotImplementedError("Pow with an exponent that is not one number")
    return builder.apply(torch.pow, base, float(exponent))


def cast(builder, inputs, attributes):
    """Everything is computed in float32, even if a graph in half precision casts to another type."""
    if attributes["to"] not in REAL:
        raise NotImplementedError(f"Cast to {onnx.TensorProto.DataType.Name(attributes['to'])}")
    return inputs[0]


# -- layers ----------------------------------------------------------------------------------------------------------
def window(v, kernel, attributes):
    """A convolution's or a pool's strides, padding (top, bottom, left, right) and dilations."""
    if len(v.shape) != 3:
        raise NotImplementedError(f"a window over {len(v.shape) - 1} axes, not over pictures")
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    how = attributes.get("auto_pad", b"NOTSET").decode()
    if how.startswith("SAME"):
        spans = [(n - 1) * d + 1 for n, d in zip(kernel, dilations)]
        ends = [same_padding(*row)[:: 1 if how == "SAME_UPPER" else -1] for row in zip(v.shape[1:], spans, strides)]
        return strides, (*ends[0], *ends[1]), dilations
    top, left, bottom, right = [0] * 4 if how == "VALID" else attributes.get("pads", [0] * 4)
    return strides, (top, bottom, left, right), dilations


def conv(builder, inputs, attributes):
    v, weight, bias = [*inputs, None][:3]
    if not isinstance(weight, np.ndarray):
        raise NotImplementedError("a convolution with computed weights")
    strides, padding, dilations = window(v, weight.shape[2:], attributes)
    return builder.conv(v, weight, bias, strides, padding, attributes.get("group", 1), dilations)


def batch_norm(builder, inputs, attributes):
    return builder.batch_norm(*inputs, attributes.get("epsilon", 1e-5))


def gemm(builder, inputs, attributes):
    v, weight, bias = [*inputs, None][:3]
    if attributes.get("transA", 0) or not isinstance(weight, np.ndarray):
        raise NotImplementedError("Gemm with a transposed first matrix, or of two values")
    weight = (weight if attributes.get("transB", 0) else weight.T) * np.float32(attributes.get("alpha", 1))
    bias = None if bias is None else np.broadcast_to(bias.squeeze() * attributes.get("beta", 1), weight.shape[:1])
    return builder.linear(v, weight, bias)


def matmul(builder, inputs, _):
    a, b = inputs
    if isinstance(b, np.ndarray) and b.ndim == 2:
        dense = len(a.shape) == 1 and not getattr(a, "batch", 0)
        return builder.linear(a, b.T) if dense else builder.apply(F.linear, a, np.ascontiguousarray(b.T))
    return builder.apply(torch.matmul, a, b)


def layer_norm(builder, inputs, attributes):
    v, scale, bias = [*inputs, None][:3]
    return builder.apply(F.layer_norm, v, list(scale.shape), scale, bias, attributes.get("epsilon", 1e-5))


def pool(builder, inputs, attributes):
    """Max pooling."""
    (v,), kernel = inputs, attributes["kernel_shape"]
    strides, (top, bottom, left, right), dilations = window(v, kernel, attributes)
    padding, ceil = (top, left), bool(attributes.get("ceil_mode", 0))
    if padding != (bottom, right) or any(2 * p > n for p, n in zip(padding, kernel)):
        v = builder.apply(F.pad, v, [left, right, top, bottom], "constant", -float("inf"))
        padding = (0, 0)
    return builder.apply(F.max_pool2d, v, list(kernel), list(strides), list(padding), list(dilations), ceil)


def mean_pool(builder, inputs, attributes):
    (v,), kernel = inputs, attributes["kernel_shape"]
    strides, (top, bottom, left, right), dilations = window(v, kernel, attributes)
    counted = bool(attributes.get("count_include_pad", 0))
    if any(d != 1 for d in dilations) or (top, left) != (bottom, right) and not counted:
        raise NotImplementedError("AveragePool with dilations, or with padding that differs between the sides")
    padding = (top, left)
    if padding != (bottom, right):
        v, padding = builder.padded(v, (top, bottom, left, right)), (0, 0)
    ceil = bool(attributes.get("ceil_mode", 0))
    return builder.apply(F.avg_pool2d, v, list(kernel), list(strides), list(padding), ceil, counted)


def pad(builder, inputs, attributes):
    v, sizes, fill, axes = [*inputs, None, None, None][:4]
    sizes = [int(n) for n in (attributes["pads"] if sizes is None else sizes)]
    if axes is not None:
        raise NotImplementedError("Pad with axes")
    befores, afters = sizes[: len(sizes) // 2], sizes[len(sizes) // 2 :]
    fill, mode = float(attributes.get("value", 0) if fill is None else fill), attributes.get("mode", b"constant")
    if mode == b"constant" and fill == 0 and len(sizes) == 8 and not any(befores[:2] + afters[:2]):
        return builder.padded(v, (befores[2], afters[2], befores[3], afters[3]))
    if mode != b"constant":
        raise NotImplementedError(f"Pad in the mode {mode.decode()}")
    ends = [n for ends in zip(reversed(befores), reversed(afters)) for n in ends]
    return builder.apply(F.pad, v, ends, "constant", fill)


# -- reductions ------------------------------------------------------------------------------------------------------
def axes_of(builder, inputs, attributes):
    """The axes of a reduction, a Squeeze or an Unsqueeze: an attribute in old versions, an input in later ones."""
    axes = attributes.get("axes", inputs[1] if len(inputs) > 1 else None)
    return None if axes is None else [int(axis) for axis in axes]


def reduction(function, *order):
    def read(builder, inputs, attributes):
        v, axes = builder.tensor(inputs[0]), axes_of(builder, inputs, attributes)
        if axes is None:
            raise NotImplementedError("a reduction over all axes, including the batch")
        return builder.apply(function, v, *order, axes, keepdim=bool(attributes.get("keepdims", 1)))

    return read


def over_picture(function):
    return lambda builder, inputs, _: builder.apply(function, inputs[0], [2, 3], keepdim=True)


def softmax(builder, inputs, attributes):
    v = builder.tensor(inputs[0])
    axis = builder.axis(attributes.get("axis", -1 if builder.opset >= 13 else 1), v)
    if builder.opset < 13 and axis != len(v.shape):
        raise NotImplementedError("a Softmax over several axes at once")
    return builder.apply(torch.softmax, v, axis)


def unit(builder, inputs, attributes):
    """LpNormalization."""
    axis = attributes.get("axis", -1)
    norm = builder.apply(torch.linalg.vector_norm, inputs[0], float(attributes.get("p", 2)), [axis], True)
    return builder.apply(operator.truediv, inputs[0], norm)


# -- shapes ----------------------------------------------------------------------------------------------------------
def shape_of(builder, inputs, attributes):
    v = inputs[0]
    sizes = list(v.shape) if isinstance(v, np.ndarray) else builder.full_shape(v)
    return np.array(sizes[attributes.get("start", 0) : attributes.get("end", len(sizes))], np.int64)


def flatten(builder, inputs, attributes):
    v = inputs[0]
    if builder.axis(attributes.get("axis", 1), v) != 1:
        raise NotImplementedError("Flatten that leaves more axes than the batch and one")
    return builder.flatten(v) if len(v.shape) > 1 else v


def reshape(builder, inputs, attributes):
    x, target = builder.tensor(inputs[0]), [int(n) for n in inputs[1]]
    full = builder.full_shape(x)
    if not attributes.get("allowzero", 0):
        target = [full[k] if n == 0 else n for k, n in enumerate(target)]
    sizes = settled(target, prod(full))
    if sizes:
        return regrouped(builder, x, sizes)
    for k in sorted((k for k, n in enumerate(target) if n == 1), key=lambda k: k != x.batch):
        sizes = settled([*target[:k], BATCH, *target[k + 1 :]], prod(full))
        if sizes and not moves(x, sizes):
            return regrouped(builder, x, sizes)
        if sizes:  # the graph is for one picture; its batch axis of 1 may be anywhere
            first = builder.apply(torch.movedim, x, x.batch, 0) if x.batch else x
            first = regrouped(builder, first, [BATCH, *(n for n in sizes if n != BATCH)])
            return builder.apply(torch.movedim, first, 0, k)
    raise NotImplementedError(f"Reshape of {shown(full)} to {shown(target)}, which joins the batch with another axis")


def shown(sizes):
    return " x ".join("N" if n == BATCH else str(n) for n in sizes)


def settled(target, count):
    """The shape with -1 resolved; None if it holds another count of numbers or has no axis for the batch."""
    known = prod(n for n in target if n != -1)
    if target.count(-1) > 1 or not known or count % known or (-1 not in target and count != known):
        return None
    sizes = [count // known if n == -1 else n for n in target]
    return sizes if sizes.count(BATCH) == 1 else None


def moves(x, sizes):
    """Whether the number of entries before the batch axis changes."""
    return prod(sizes[: sizes.index(BATCH)]) != prod(x.shape[: x.batch])


def regrouped(builder, x, sizes):
    if moves(x, sizes):
        raise NotImplementedError("a Reshape that mixes the pictures of a batch")
    if sizes == [BATCH, *x.shape] and x.batch == 0:
        return x
    if sizes == [BATCH, prod(x.shape)]:
        return builder.flatten(x)
    return builder.apply(torch.reshape, x, [-1 if n == BATCH else n for n in sizes])


def transpose(builder, inputs, attributes):
    v = builder.tensor(inputs[0])
    return builder.apply(torch.permute, v, attributes.get("perm", list(range(len(v.shape), -1, -1))))


def squeeze(builder, inputs, attributes):
    v, axes = builder.tensor(inputs[0]), axes_of(builder, inputs, attributes)
    full = builder.full_shape(v)
    axes = [k for k, n in enumerate(full) if n == 1] if axes is None else [builder.axis(axis, v) for axis in axes]
    if v.batch in axes:
        raise NotImplementedError("Squeeze that removes the batch")
    return regrouped(builder, v, [n for k, n in enumerate(full) if k not in axes])


def unsqueeze(builder, inputs, attributes):
    v, axes = builder.tensor(inputs[0]), axes_of(builder, inputs, attributes)
    sizes = builder.full_shape(v)
    for axis in sorted(axis % (len(sizes) + len(axes)) for axis in axes):
        sizes.insert(axis, 1)
    return regrouped(builder, v, sizes)


def expand(builder, inputs, _):
    v, target = inputs
    shape = v.shape if isinstance(v, np.ndarray) else builder.full_shape(v)
    sizes = np.broadcast_shapes(tuple(shape), tuple(int(n) for n in target))
    sizes = [-1 if n == BATCH else n for n in sizes]
    if isinstance(v, np.ndarray):  # a token for each picture
        zeros = builder.apply(torch.zeros_like, builder.apply(torch.narrow, builder.flatten(builder.input), 1, 0, 1))
        zeros = builder.apply(torch.reshape, zeros, [n if n == -1 else 1 for n in sizes])
        return builder.apply(operator.add, zeros, np.broadcast_to(v, [1 if n == -1 else n for n in sizes]))
    return v if list(shape) == sizes else builder.apply(torch.broadcast_to, v, sizes)


def concat(builder, inputs, attributes):
    return builder.apply(torch.cat, [*inputs], attributes["axis"])


def split(builder, inputs, attributes):
    v, axis = builder.tensor(inputs[0]), attributes.get("axis", 0)
    sizes = attributes.get("split", inputs[1] if len(inputs) > 1 else None)
    whole = builder.full_shape(v)[axis]
    if sizes is None:
        count = attributes.get("num_outputs")
        if not count:
            raise NotImplementedError("a Split without a number of parts")
        return builder.apply(torch.split, v, -(-whole // count), axis)
    return builder.apply(torch.split, v, [int(n) for n in sizes], axis)


def slice_(builder, inputs, attributes):
    v, *rest = inputs
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = [attributes.get(n, r) for n, r in zip(names, [*rest, None, None, None, None])]
    axes = range(len(starts)) if axes is None else axes
    for start, end, axis, step in zip(starts, ends, axes, [1] * len(starts) if steps is None else steps):
        size = builder.full_shape(v)[axis]
        kept = range(size)[slice(int(start), int(end), int(step))]
        if kept == range(size):
            continue
        if size == BATCH:
            raise NotImplementedError("Slice of the batch")
        v = taken(builder, v, int(axis), list(kept))
    return v


def taken(builder, v, axis, kept):
    if kept == list(range(kept[0], kept[-1] + 1)):
        return builder.apply(torch.narrow, v, axis, kept[0], len(kept))
    return builder.apply(torch.index_select, v, axis, np.array(kept))


def gather(builder, inputs, attributes):
    v, index = inputs
    if not isinstance(index, np.ndarray) or isinstance(v, np.ndarray) or index.ndim > 1:
        raise NotImplementedError("Gather with computed indices")
    axis = builder.axis(attributes.get("axis", 0), v)
    size = builder.full_shape(v)[axis]
    if size == BATCH:
        raise NotImplementedError("Gather from the batch")
    if index.ndim == 0:
        return builder.apply(torch.select, v, axis, int(index) % size)
    return taken(builder, v, axis, [int(k) % size for k in index])


# -- quantised graphs ------------------------------------------------------------------------------------------------
def real(v, scale, zero=None, axis=0):
    """The real numbers of a quantised constant. An axis (mostly the outputs) may have a scale for each entry."""
    if not isinstance(v, np.ndarray) or v.dtype.kind == "f":
        return v
    shape = [-1 if k == axis % v.ndim else 1 for k in range(v.ndim)] if v.ndim else []
    zero = np.zeros(1, np.float32) if zero is None else zero.astype(np.float32)
    scale, zero = [part.reshape(shape if part.size > 1 else ()) for part in (scale, zero)]
    return (v.astype(np.float32) - zero) * scale


def dequantise(builder, inputs, attributes):
    if attributes.get("block_size", 0):
        raise NotImplementedError("DequantizeLinear with blocks")
    return real(*inputs, axis=attributes.get("axis", 1))


def limits(zero, attributes=None):
    if zero is None and (attributes or {}).get("output_dtype"):
        raise NotImplementedError("QuantizeLinear with output_dtype")
    return np.iinfo(np.uint8 if zero is None else zero.dtype)


def quantise(builder, inputs, attributes):
    v, scale, zero = [*inputs, None][:3]
    ends = limits(zero, attributes)
    if isinstance(v, np.ndarray):
        shape = [-1 if k == attributes.get("axis", 1) % v.ndim else 1 for k in range(v.ndim)] if scale.size > 1 else []
        start = np.int64(0) if zero is None else zero.astype(np.int64).reshape(shape)
        steps = np.clip(np.round(v / scale.reshape(shape)) + start, ends.min, ends.max)
        return ((steps - start) * scale.reshape(shape)).astype(np.float32)
    if scale.size != 1:
        raise NotImplementedError("values with a scale for each channel")
    step, start = scale.item(), 0 if zero is None else zero.item()
    builder.quantised = True
    if builder.rounding:
        return builder.apply(on_grid, v, step, start, ends.min, ends.max)
    return clamped(builder, v, (ends.min - start) * step, (ends.max - start) * step)


def on_grid(x, step, start, low, high):
    return (torch.clamp(torch.round(x / step) + start, low, high) - start) * step


def on_own_grid(x):
    """DynamicQuantizeLinear: the grid spans all values."""
    low, high = torch.clamp(x.amin(), max=0), torch.clamp(x.amax(), min=0)
    step = (high - low) / 255
    start = torch.clamp(torch.round(-low / step), 0, 255)
    return (torch.clamp(torch.round(x / step) + start, 0, 255) - start) * step


def quantise_dynamically(builder, inputs, _):
    builder.quantised = True
    v = builder.apply(on_own_grid, inputs[0]) if builder.rounding else inputs[0]
    return [v, np.array(1, np.float32), np.array(0, np.uint8)]  # the value already includes the scale


def integer(read):
    """ConvInteger and MatMulInteger."""

    def of(builder, inputs, attributes):
        v, weight, _, zero = [*inputs, None, None][:4]
        return read(builder, [v, real(weight, np.ones(1, np.float32), zero)], attributes)

    return of


def quantised_conv(builder, inputs, attributes):
    v, v_scale, _, weight, scale, zero, out_scale, out_zero, bias = [*inputs, None][:9]
    bias = None if bias is None else bias * (v_scale * scale)
    found = conv(builder, [v, real(weight, scale, zero), bias], attributes)
    return quantise(builder, [found, out_scale, out_zero], {})


def quantised_gemm(builder, inputs, attributes):
    v, v_scale, _, weight, scale, zero, bias, out_scale, out_zero = [*inputs, None, None, None][:9]
    if scale.size > 1 and not attributes.get("transB", 0):
        raise NotImplementedError("QGemm with a scale for each column")
    bias = None if bias is None else bias * (v_scale * scale)
    found = gemm(builder, [v, real(weight, scale, zero), bias], attributes)
    return found if out_scale is None else quantise(builder, [found, out_scale, out_zero], {})


def of_two(read):
    """QLinearAdd, QLinearMul, QLinearMatMul."""

    def of(builder, inputs, attributes):
        a, a_scale, a_zero, b, b_scale, b_zero, scale, zero = inputs
        found = read(builder, [real(a, a_scale, a_zero), real(b, b_scale, b_zero)], attributes)
        return quantise(builder, [found, scale, zero], {})

    return of


def of_one(read):
    """QLinearGlobalAveragePool, QLinearLeakyRelu, QLinearSigmoid."""

    def of(builder, inputs, attributes):
        if attributes.get("channels_last", 0):
            raise NotImplementedError("a quantised layer with the channels last")
        return quantise(builder, [read(builder, inputs[:1], attributes), *inputs[3:]], {})

    return of


def quantised_concat(builder, inputs, attributes):
    scale, zero, *rest = inputs
    parts = [real(*rest[k : k + 3]) for k in range(0, len(rest), 3)]
    return quantise(builder, [concat(builder, parts, attributes), scale, zero], {})


ADD, MUL = arithmetic(Builder.add, operator.add), arithmetic(Builder.mul, operator.mul)
AVERAGE, SIGMOID = over_picture(torch.mean), by_torch(torch.sigmoid)
PICTURES = {  # readers that need the batch first
    "Conv": conv,
    "BatchNormalization": batch_norm,
    "Gemm": gemm,
    "Flatten": flatten,
    "PRelu": prelu,
    "MaxPool": pool,
    "AveragePool": mean_pool,
    "GlobalAveragePool": AVERAGE,
    "GlobalMaxPool": over_picture(torch.amax),
    "Pad": pad,
    "ConvInteger": integer(conv),
    "QLinearConv": quantised_conv,
    "QGemm": quantised_gemm,
    "QLinearGlobalAveragePool": of_one(AVERAGE),
}
READERS = PICTURES | {
    "Relu": lambda b, inputs, _: b.relu(*inputs),
    "LeakyRelu": leaky,
    "Clip": clip,
    "Min": extreme(torch.minimum, low=False),
    "Max": extreme(torch.maximum, low=True),
    "Add": ADD,
    "Sub": arithmetic(Builder.sub, operator.sub),
    "Mul": MUL,
    "Div": arithmetic(Builder.div, operator.truediv),
    "Neg": lambda b, inputs, _: b.neg(*inputs),
    "Abs": lambda b, inputs, _: b.abs(*inputs),
    "Pow": power,
    "Sqrt": by_torch(torch.sqrt),
    "Exp": by_torch(torch.exp),
    "Log": by_torch(torch.log),
    "Reciprocal": by_torch(torch.reciprocal),
    "Erf": by_torch(torch.erf),
    "Tanh": by_torch(torch.tanh),
    "Sigmoid": SIGMOID,
    "Softplus": by_torch(F.softplus),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": by_torch(F.hardswish),
    "Elu": lambda b, inputs, attributes: b.apply(F.elu, *inputs, attributes.get("alpha", 1.0)),
    "Gelu": gelu,
    "Softmax": softmax,
    "LayerNormalization": layer_norm,
    "LpNormalization": unit,
    "MatMul": matmul,
    "ReduceMean": reduction(torch.mean),
    "ReduceSum": reduction(torch.sum),
    "ReduceMax": reduction(torch.amax),
    "ReduceL2": reduction(torch.linalg.vector_norm, 2.0),
    "Shape": shape_of,
    "Reshape": reshape,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "Cast": cast,
    "Identity": lambda b, inputs, _: inputs[0],
    "Dropout": lambda b, inputs, _: inputs[0],
    "QuantizeLinear": quantise,
    "DequantizeLinear": dequantise,
    "DynamicQuantizeLinear": quantise_dynamically,
    "MatMulInteger": integer(matmul),
    "QLinearMatMul": of_two(matmul),
    "QLinearAdd": of_two(ADD),
    "QLinearMul": of_two(MUL),
    "QLinearLeakyRelu": of_one(leaky),
    "QLinearSigmoid": of_one(SIGMOID),
    "QLinearConcat": quantised_concat,
}
