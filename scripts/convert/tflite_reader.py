"""Reads a TensorFlow Lite network (float32 weights) as a torch.fx GraphModule."""
import numpy as np
import tflite

from .builder import Builder, Operation, needed

OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}


def read_tflite(data, outputs=None, transposed=False):
    """outputs: names of the tensors to return, default the network's own.
    transposed: the network takes transposed pictures (as MTCNN does); the module then takes ordinary
    ones, because all its kernels are transposed instead."""
    model = tflite.Model.GetRootAs(data, 0)
    net = model.Subgraphs(0)
    tensors = [net.Tensors(i) for i in range(net.TensorsLength())]
    names = [t.Name().decode() for t in tensors]
    outputs = outputs or [names[i] for i in net.OutputsAsNumpy()]

    _, h, w, c = tensors[net.Inputs(0)].ShapeAsNumpy().tolist()
    builder = Builder((c, w, h), "whc") if transposed else Builder((c, h, w), "hwc")
    values = {n: v for n, t in zip(names, tensors) if (v := constant(model, t)) is not None}
    values[names[net.Inputs(0)]] = builder.input
    for op in needed(operations(model, net, names), outputs):
        if op.kind not in READERS:
            raise NotImplementedError(f"TensorFlow Lite operation {op.kind}")
        inputs = [values.get(name) for name in op.inputs]
        values[op.output] = READERS[op.kind](builder, inputs, op.attributes, transposed)
    return builder.module(*[values[name] for name in outputs])


def constant(model, tensor):
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
    if isinstance(raw, int):  # the library means: no data, an activation
        return None
    kinds = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.INT32: np.int32}
    if tensor.Type() not in kinds:
        return None
    shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()
    return np.frombuffer(raw.tobytes(), kinds[tensor.Type()]).reshape(shape)


def operations(model, net, names):
    result = []
    for i in range(net.OperatorsLength()):
        op = net.Operators(i)
        code = model.OperatorCodes(op.OpcodeIndex())
        # Old files have the operation's number in one field, new ones in the other.
        kind = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [names[j] for j in op.InputsAsNumpy() if j >= 0]
        result.append(Operation(kind, inputs, [names[op.Outputs(0)]], op.BuiltinOptions()))
    return result


def options(cls, table):
    result = cls()
    result.Init(table.Bytes, table.Pos)
    return result


def padding(option):
    return "same" if option.Padding() == tflite.Padding.SAME else "valid"


def stride(option):
    if option.StrideH() != option.StrideW():
        raise NotImplementedError("a stride that differs between height and width")
    return option.StrideH()


def undilated(option):
    if (option.DilationHFactor(), option.DilationWFactor()) != (1, 1):
        raise NotImplementedError("a dilated convolution")


def activated(builder, value, option):
    kind = option.FusedActivationFunction()
    if kind == tflite.ActivationFunctionType.NONE:
        return value
    if kind == tflite.ActivationFunctionType.RELU:
        return builder.relu(value)
    raise NotImplementedError(f"fused activation {kind}")


def conv(builder, inputs, table, transposed):
    option = options(tflite.Conv2DOptions, table)
    undilated(option)
    x, weight, bias = inputs
    weight = weight.transpose(0, 3, 2, 1) if transposed else weight.transpose(0, 3, 1, 2)  # from OHWI
    return activated(builder, builder.conv(x, weight, bias, stride(option), padding(option)), option)


def depthwise(builder, inputs, table, transposed):
    option = options(tflite.DepthwiseConv2DOptions, table)
    undilated(option)
    x, weight, bias = inputs
    weight = weight.transpose(3, 0, 2, 1) if transposed else weight.transpose(3, 0, 1, 2)  # from 1HWO
    groups = weight.shape[0] // option.DepthMultiplier()
    return activated(builder, builder.conv(x, weight, bias, stride(option), padding(option), groups), option)


def max_pool(builder, inputs, table, transposed):
    option = options(tflite.Pool2DOptions, table)
    if option.FilterHeight() != option.FilterWidth():
        raise NotImplementedError("a pooling window that is not square")
    x = builder.max_pool(inputs[0], option.FilterHeight(), stride(option), padding(option))
    return activated(builder, x, option)


def dense(builder, inputs, table, transposed):
    return activated(builder, builder.linear(*inputs), options(tflite.FullyConnectedOptions, table))


def binary(method, cls):
    return lambda b, inputs, table, _: activated(b, getattr(b, method)(*inputs), options(cls, table))


READERS = {
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
    "MAX_POOL_2D": max_pool,
    "FULLY_CONNECTED": dense,
    "ADD": binary("add", tflite.AddOptions),
    "SUB": binary("sub", tflite.SubOptions),
    "MUL": binary("mul", tflite.MulOptions),
    "RELU": lambda b, inputs, *_: b.relu(inputs[0]),
    "NEG": lambda b, inputs, *_: b.neg(inputs[0]),
    "ABS": lambda b, inputs, *_: b.abs(inputs[0]),
    # The only reshaping in these networks is N×1×1×D or N×H×W×C to N×D.
    "RESHAPE": lambda b, inputs, *_: b.flatten(inputs[0]),
}
