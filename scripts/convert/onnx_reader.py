"""Reads an ONNX network as a torch.fx GraphModule."""
import operator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .builder import Builder, Operation, needed


def read_onnx(data):
    net = onnx.load_from_string(data).graph
    values = {t.name: numpy_helper.to_array(t) for t in net.initializer}
    (source,) = [i for i in net.input if i.name not in values]
    outputs = [o.name for o in net.output]

    builder = Builder([d.dim_value for d in source.type.tensor_type.shape.dim[1:]])
    values[source.name] = builder.input
    operations = [Operation(n.op_type, n.input, n.output[0], attributes_of(n)) for n in net.node]
    for op in needed(operations, outputs):
        if op.kind not in READERS:
            raise NotImplementedError(f"ONNX operation {op.kind}")
        values[op.output] = READERS[op.kind](builder, [values[name] for name in op.inputs], op.attributes)
    return builder.module(*[values[name] for name in outputs])


def attributes_of(node):
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def conv(builder, inputs, attributes):
    stride = attributes.get("strides", [1, 1])
    if stride[0] != stride[1] or any(d != 1 for d in attributes.get("dilations", [])):
        raise NotImplementedError("a dilated convolution or one whose stride differs between height and width")
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise NotImplementedError("auto_pad")
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    x, weight, bias = [*inputs, None][:3]
    return builder.conv(x, weight, bias, stride[0], (top, bottom, left, right), attributes.get("group", 1))


def batch_norm(builder, inputs, attributes):
    return builder.batch_norm(*inputs, attributes.get("epsilon", 1e-5))


def gemm(builder, inputs, attributes):
    if any(attributes.get(name, 1) != 1 for name in ("alpha", "beta")) or attributes.get("transA", 0):
        raise NotImplementedError("Gemm with alpha, beta or a transposed first matrix")
    x, weight, bias = [*inputs, None][:3]
    return builder.linear(x, weight if attributes.get("transB", 0) else weight.T, bias)


def flatten(builder, inputs, attributes):
    # A shape may name the batch of one; only N×D is meant in these networks.
    if len(inputs) > 1 and len(inputs[1]) != 2:
        raise NotImplementedError("Reshape to something that is not N×D")
    return builder.flatten(inputs[0])


def constant(node_attributes):
    """Of a node Constant: a tensor, or a number or a list of them, in the one attribute that it has."""
    (value,) = node_attributes.values()
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def arithmetic(of_values, of_constants):
    """Two constants stay one. (NumPy makes a number of what has no axes, and a constant is an array.)"""

    def read(builder, inputs, _):
        if all(isinstance(value, np.ndarray) for value in inputs):
            return np.asarray(of_constants(*inputs))
        return of_values(builder, *inputs)

    return read


def cast(builder, inputs, attributes):
    """All is computed in float32, whatever a graph in half precision casts to."""
    if attributes["to"] not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE):
        raise NotImplementedError(f"Cast to {onnx.TensorProto.DataType.Name(attributes['to'])}")
    return inputs[0]


READERS = {
    "Conv": conv,
    "BatchNormalization": batch_norm,
    "Gemm": gemm,
    "Flatten": flatten,
    "Reshape": flatten,
    "PRelu": lambda b, inputs, _: b.prelu(*inputs),
    "Relu": lambda b, inputs, _: b.relu(*inputs),
    "Add": arithmetic(Builder.add, operator.add),
    "Sub": arithmetic(Builder.sub, operator.sub),
    "Mul": arithmetic(Builder.mul, operator.mul),
    "Div": arithmetic(Builder.div, operator.truediv),
    "Cast": cast,
    "Constant": lambda b, inputs, attributes: constant(attributes),
    "Identity": lambda b, inputs, _: inputs[0],
    "Dropout": lambda b, inputs, _: inputs[0],
}
