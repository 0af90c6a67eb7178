"""Reads TensorFlow.js weights and graph models."""
import base64
import json

import numpy as np

from .builder import Builder, Operation, needed


def read_weights(entries, data):
    """Arrays by name. A manifest may mix plain and quantised tensors in one sequence of bytes."""
    weights, offset = {}, 0
    for entry in entries:
        quantised = entry.get("quantization", {})
        stored = np.dtype(quantised.get("dtype", entry["dtype"])).newbyteorder("<")
        count = int(np.prod(entry["shape"]))
        array = np.frombuffer(data, stored, count, offset)
        offset += count * stored.itemsize
        if "scale" in quantised:  # uint8 and uint16; float16 has none
            array = array * np.float32(quantised["scale"]) + np.float32(quantised["min"])
        weights[entry["name"]] = array.astype(entry["dtype"]).reshape(entry["shape"])
    if offset != len(data):
        raise ValueError(f"the manifest describes {offset} bytes of weights, the file has {len(data)}")
    return weights


def read_tfjs(model_json, data, output):
    """The part of the graph that the named output depends on, as a torch.fx GraphModule."""
    model = json.loads(model_json)
    values = read_weights([w for group in model["weightsManifest"] for w in group["weights"]], data)
    nodes = model["modelTopology"]["node"]
    (source,) = [n for n in nodes if n["op"] == "Placeholder"]
    _, h, w, c = [int(d["size"]) for d in source["attr"]["shape"]["shape"]["dim"]]
    builder = Builder((c, h, w), "hwc")
    values[source["name"]] = builder.input

    operations = [
        Operation(n["op"], n.get("input", []), [n["name"]], n["attr"]) for n in nodes if n["name"] not in values
    ]
    for op in needed(operations, [output]):
        if op.kind not in READERS:
            raise NotImplementedError(f"TensorFlow operation {op.kind}")
        values[op.output] = READERS[op.kind](builder, [values[name] for name in op.inputs], op.attributes)
    return builder.module(values[output])


def window(attributes):
    """Stride and padding of a convolution."""
    _, sy, sx, _ = [int(i) for i in attributes["strides"]["list"]["i"]]
    dilations = [int(i) for i in attributes.get("dilations", {}).get("list", {}).get("i", [1])]
    padding = base64.b64decode(attributes["padding"]["s"]).decode().lower()
    if sy != sx or max(dilations) > 1 or padding not in ("same", "valid"):
        raise NotImplementedError("a dilated convolution, uneven strides or explicit padding")
    return sy, padding


def conv(builder, inputs, attributes):
    x, weight = inputs
    return builder.conv(x, weight.transpose(3, 2, 0, 1), None, *window(attributes))  # from HWIO


def depthwise(builder, inputs, attributes):
    x, weight = inputs  # H×W×channels×multiplier
    h, w, channels, multiplier = weight.shape
    weight = weight.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, h, w)
    return builder.conv(x, weight, None, *window(attributes), groups=channels)


def pad(builder, inputs, attributes):
    x, amounts = inputs
    if np.any(amounts[[0, 3]]):
        raise NotImplementedError("padding of the batch or of the channels")
    return builder.padded(x, tuple(amounts[1:3].ravel().tolist()))


def mean(builder, inputs, attributes):
    if sorted(inputs[1].ravel().tolist()) != [1, 2] or attributes["keep_dims"]["b"]:
        raise NotImplementedError("a mean other than over the picture")
    return builder.mean(inputs[0])


def matmul(builder, inputs, attributes):
    if attributes["transpose_a"]["b"] or attributes["transpose_b"]["b"]:
        raise NotImplementedError("a transposed matrix product")
    return builder.linear(inputs[0], inputs[1].T)


def method(name):
    return lambda builder, inputs, _: getattr(builder, name)(*inputs)


READERS = {
    "Conv2D": conv,
    "DepthwiseConv2dNative": depthwise,
    "Pad": pad,
    "Mean": mean,
    "MatMul": matmul,
    "Add": method("add"),
    "AddV2": method("add"),
    "Sub": method("sub"),
    "Mul": method("mul"),
    "Relu": method("relu"),
    "Minimum": method("minimum"),
    "Maximum": method("maximum"),
    # The only reshaping in these networks is N×H×W×C to N×D.
    "Reshape": lambda builder, inputs, _: builder.flatten(inputs[0]),
}
