"""Builds the network that a Keras .h5 file describes, of the layers that this reader knows, as a PyTorch module (N×3×H×W, free batch).

What it does not know, or would compute otherwise than Keras, it refuses by the layer's name. The code in a Lambda layer is never run.
"""
import base64
import binascii
import re
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from export.base import fail, sentence
from export.keras_file import read_h5, to_torch

ACTIVATIONS = {"relu": F.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "elu": F.elu, "selu": F.selu,
               "softplus": F.softplus, "swish": F.silu, "silu": F.silu}  # fmt: skip
NESTED = ("Model", "Functional", "Sequential")


class Refused(Exception):
    pass


def refuse(why):
    raise Refused(why)


@dataclass
class Value:
    """A tensor of the network: its node, and an example of it, by which shapes are known."""

    node: fx.Node
    example: torch.Tensor

    @property
    def shape(self):
        return tuple(self.example.shape[1:])

    @property
    def is_picture(self):
        return self.example.dim() == 4


@dataclass
class Layer:
    kind: str
    name: str
    config: dict
    weights: list  # (name, array), in Keras's order

    def take(self, *shapes):
        """The weights, which have to be of these shapes."""
        found = [array for _, array in self.weights]
        if [array.shape for array in found] != [tuple(shape) for shape in shapes]:
            refuse(f"its weights are {', '.join(str(a.shape) for a in found) or 'none'}, expected {', '.join(str(tuple(s)) for s in shapes)}")
        return found

    def pair(self, key, default=1):
        value = self.config.get(key)
        value = default if value is None else value
        return (value, value) if isinstance(value, int) else tuple(value)


class Network:
    def __init__(self, side):
        self.graph, self.root = fx.Graph(), nn.Module()
        self.input = Value(self.graph.placeholder("x"), torch.zeros(1, 3, side, side))

    def call(self, function, *arguments, **options):
        """A function of values and constants."""
        nodes = fx.node.map_aggregate(arguments, lambda a: a.node if isinstance(a, Value) else a)
        examples = fx.node.map_aggregate(arguments, lambda a: a.example if isinstance(a, Value) else a)
        return Value(self.graph.call_function(function, tuple(nodes), options), function(*examples, **options))

    def apply(self, name, module, x):
        """A module with weights; of a layer that is used twice, a copy."""
        name = free = re.sub(r"\W", "_", f"layer_{name}")
        while hasattr(self.root, free):
            free = f"{name}_{len(list(self.root.children()))}"
        self.root.add_module(free, module.eval())
        return Value(self.graph.call_module(free, (x.node,)), module(x.example))

    def constant(self, name, tensor):
        name = re.sub(r"\W", "_", f"constant_{name}_{len(list(self.root.buffers()))}")
        self.root.register_buffer(name, tensor)
        return Value(self.graph.get_attr(name), tensor)

    def module(self, output):
        self.graph.output(output.node)
        self.graph.eliminate_dead_code()
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph).eval()


def read_network(path, side, unit_length=False):
    """unit_length: whether the embedding is divided by its length, as the code around the network does it."""
    layers, described = read_h5(path)
    if described is None:
        fail(f"{path} has weights only: without the network's description nothing says what to do with them")
    network = Network(side)
    with torch.no_grad():
        output = read_graph(path, network, described, network.input, layers)
        if len(output.shape) != 1:
            fail(f"{path} does not end in an embedding, but in {'×'.join(map(str, output.shape))} numbers a face")
        if unit_length:
            output = network.call(F.normalize, output, 2.0, 1)
    return network.module(output)


def read_graph(path, network, described, given, weights):
    """The output of a model, nested ones included."""
    kind, config = described["class_name"], described["config"]
    entries = config if isinstance(config, list) else config["layers"]  # the oldest Sequentials are bare lists
    if kind == "Sequential":
        value = given
        for entry in entries:
            value = read_layer(path, network, entry, [value], weights)
        return value
    inputs, (output,) = references(config["input_layers"]), references(config["output_layers"])
    if len(inputs) != 1:
        fail(f"{path} has {len(inputs)} inputs, expected one picture")
    pending = [(entry, k, node) for entry in entries for k, node in enumerate(entry["inbound_nodes"] or [[]])]
    values = {}
    while pending:  # a layer may stand before those that it needs
        waiting = []
        for entry, k, node in pending:
            if all(place in values for place in references(node)):
                inputs = [values[place] for place in references(node)] or [given]
                values[name_of(entry), k] = read_layer(path, network, entry, inputs, weights, extras(node))
            else:
                waiting.append((entry, k, node))
        if len(waiting) == len(pending):
            fail(f"{path}: layer {name_of(waiting[0][0])} needs layers that are not there")
        pending = waiting
    return values[output]


def name_of(entry):
    return entry.get("name") or (entry["config"]["name"] if isinstance(entry["config"], dict) else "")


def references(value):
    """(layer, which of its calls) of each tensor named in a config, as Keras 2 and 3 write them."""
    if isinstance(value, dict):
        return [found for key in ("keras_history", "config", "args") if key in value for found in references(value[key])]
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [(value[0], value[1])]
    return [found for one in value for found in references(one)] if isinstance(value, list) else []


def extras(node):
    """What one call of a layer takes beside tensors."""
    options = [node["kwargs"]] if isinstance(node, dict) else [one[3] for one in node if len(one) > 3]
    return sorted({key for one in options for key, value in one.items() if value is not None and key not in ("training", "mask")})


def read_layer(path, network, entry, inputs, weights, more=()):
    kind, config, name = entry["class_name"], entry["config"], name_of(entry)
    if kind in NESTED:
        return read_graph(path, network, entry, inputs[0], nested(weights.get(name, [])))
    layer = Layer(kind, name, config, weights.get(name, []))
    try:
        if kind not in READERS:
            refuse("a kind of layer that this reader does not know")
        if more:
            refuse(f"called with {', '.join(more)}")
        if config.get("data_format") not in (None, "channels_last"):
            refuse(f"data_format {config['data_format']}")
        value = READERS[kind](network, layer, inputs if kind in MERGING else inputs[0])
        return value if kind == "Activation" else activated(network, config.get("activation"), value)
    except Refused as why:
        fail(f"{path}: layer {name} ({kind}): {why}")
    except Exception as error:  # a description that does not hold together
        fail(f"{path}: layer {name} ({kind}): {type(error).__name__}: {sentence(str(error))}")


def nested(weights):
    """By layer, the weights of a model that is itself a layer, which Keras keeps in one list: …/LAYER/kernel:0."""
    found = {}
    for name, array in weights:
        path = name.split("/")[:-1]
        for k in range(len(path)):  # a layer's own name may have slashes
            found.setdefault("/".join(path[k:]), []).append((name, array))
    return found


def activated(network, kind, x):
    if kind in (None, "linear"):
        return x
    if kind == "softmax":
        refuse("a softmax: it names people; an extractor ends before that layer")
    if kind not in ACTIVATIONS:
        refuse(f"activation {kind}")
    return network.call(ACTIVATIONS[kind], x)


def axis_of(layer, x):
    """PyTorch's number of the axis that the layer's config counts as Keras does, channels last."""
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if not isinstance(axis, int) or not -x.example.dim() < axis < x.example.dim() or axis == 0:
        refuse(f"axis {axis}")
    return {1: 1} if not x.is_picture else {1: 2, 2: 3, 3: 1}, axis % x.example.dim()


def channels_only(layer, x):
    order, axis = axis_of(layer, x)
    if order[axis] != 1:
        refuse(f"axis {axis}, which is not the channels'")


# -- layers ----------------------------------------------------------------------------------


def source(network, layer, x):
    shape = layer.config.get("batch_input_shape") or layer.config.get("batch_shape")
    wanted = [None, *x.shape[1:], x.shape[0]] if x.is_picture else [None, *x.shape]
    if shape and any(a not in (None, b) for a, b in zip(shape, wanted)):
        refuse(f"takes {'×'.join(map(str, shape[1:]))}, the card says {'×'.join(map(str, wanted[1:]))}")
    return x


def needs_picture(x):
    if not x.is_picture:
        refuse(f"wants a picture, gets {'×'.join(map(str, x.shape))}")


def margins(layer, x, window):
    """(left, right, top, bottom): how much Keras's padding "same" adds, more at the end where it is odd."""
    if layer.config["padding"] == "valid":
        return (0, 0, 0, 0)
    if layer.config["padding"] != "same":
        refuse(f"padding {layer.config['padding']}")
    found = []
    for size, width, stride in zip(x.shape[:0:-1], window[::-1], layer.pair("strides", layer.config.get("pool_size", 1))[::-1]):
        total = max((-(-size // stride) - 1) * stride + width - size, 0)
        found += [total // 2, total - total // 2]
    return tuple(found)


def convolve(network, layer, x, kernel, bias, groups):
    """kernel: out×in×H×W."""
    dilation, stride = layer.pair("dilation_rate"), layer.pair("strides")
    left, right, top, bottom = margins(layer, x, [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilation)])
    even = left == right and top == bottom
    if not even:
        x = network.call(F.pad, x, [left, right, top, bottom])
    module = nn.Conv2d(x.shape[0], kernel.shape[0], kernel.shape[2:], stride, (top, left) if even else 0, dilation, groups, bias is not None)
    module.weight.copy_(torch.from_numpy(kernel))
    if bias is not None:
        module.bias.copy_(torch.from_numpy(bias))
    return network.apply(layer.name, module, x)


def with_bias(layer, outputs, *shapes):
    """Its kernels, and its bias or None."""
    found = layer.take(*shapes, *[(outputs,)] if layer.config["use_bias"] else [])
    return found if layer.config["use_bias"] else [*found, None]


def conv(network, layer, x):
    needs_picture(x)
    outputs, groups = layer.config["filters"], layer.config.get("groups") or 1
    kernel, bias = with_bias(layer, outputs, (*layer.pair("kernel_size"), x.shape[0] // groups, outputs))
    return convolve(network, layer, x, to_torch(kernel), bias, groups)


def depthwise_kernel(kernel):
    """H×W×channels×multiplier as (channels·multiplier)×1×H×W."""
    return np.ascontiguousarray(kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2]), dtype=np.float32)


def depthwise(network, layer, x):
    needs_picture(x)
    channels, multiplier = x.shape[0], layer.config["depth_multiplier"]
    kernel, bias = with_bias(layer, channels * multiplier, (*layer.pair("kernel_size"), channels, multiplier))
    return convolve(network, layer, x, depthwise_kernel(kernel), bias, channels)


def batch_norm(network, layer, x):
    channels_only(layer, x)
    c, width = layer.config, x.shape[0]
    arrays = layer.take(*[(width,)] * (2 + bool(c["scale"]) + bool(c["center"])))
    module = (nn.BatchNorm2d if x.is_picture else nn.BatchNorm1d)(width, eps=c["epsilon"], momentum=1 - c["momentum"])
    places = [module.weight] * bool(c["scale"]) + [module.bias] * bool(c["center"]) + [module.running_mean, module.running_var]
    for place, array in zip(places, arrays):
        place.copy_(torch.from_numpy(array))
    return network.apply(layer.name, module, x)


def dense(network, layer, x):
    if x.is_picture:
        refuse("a dense layer over a picture")
    kernel, bias = with_bias(layer, layer.config["units"], (x.shape[0], layer.config["units"]))
    module = nn.Linear(*kernel.shape, bias is not None)
    module.weight.copy_(torch.from_numpy(to_torch(kernel)))
    if bias is not None:
        module.bias.copy_(torch.from_numpy(bias))
    return network.apply(layer.name, module, x)


def relu(network, layer, x):
    c = layer.config
    if c.get("threshold"):
        refuse(f"threshold {c['threshold']}")
    slope, top = c.get("negative_slope") or 0, c.get("max_value")
    if slope and top is not None:
        refuse("a negative slope and a maximum")
    if slope:
        return network.call(F.leaky_relu, x, float(slope))
    return network.call(F.relu, x) if top is None else network.call(F.hardtanh, x, 0.0, float(top))


def leaky_relu(network, layer, x):
    return network.call(F.leaky_relu, x, float(layer.config.get("alpha", layer.config.get("negative_slope"))))


def prelu(network, layer, x):
    """One slope a channel."""
    (slope,) = layer.take((1, 1, x.shape[0]) if x.is_picture else x.shape)
    module = nn.PReLU(x.shape[0])
    module.weight.copy_(torch.from_numpy(slope.ravel()))
    return network.apply(layer.name, module, x)


def padded(network, layer, x):
    needs_picture(x)
    amounts = layer.config["padding"]
    (top, bottom), (left, right) = [(a, a) if isinstance(a, int) else a for a in ([amounts] * 2 if isinstance(amounts, int) else amounts)]
    return network.call(F.pad, x, [left, right, top, bottom])


def max_pool(network, layer, x):
    needs_picture(x)
    window = layer.pair("pool_size")
    if any(around := margins(layer, x, window)):
        x = network.call(F.pad, x, list(around), "constant", -float("inf"))
    return network.call(F.max_pool2d, x, window, layer.pair("strides", window))


def average_pool(network, layer, x):
    needs_picture(x)
    window = layer.pair("pool_size")
    stride = layer.pair("strides", window)
    around = margins(layer, x, window)
    if not any(around):
        return network.call(F.avg_pool2d, x, window, stride)
    # The margin counts for nothing: at the border fewer pixels are averaged.
    share = F.avg_pool2d(F.pad(torch.ones(1, 1, *x.shape[1:]), around), window, stride)
    sums = network.call(F.avg_pool2d, network.call(F.pad, x, list(around)), window, stride)
    return network.call(torch.div, sums, network.constant(layer.name, share))


def over_picture(function):
    def pool(network, layer, x):
        needs_picture(x)
        return network.call(function, x, [2, 3], bool(layer.config.get("keepdims")))

    return pool


def to_keras_order(network, x):
    return network.call(torch.permute, x, [0, 2, 3, 1]) if x.is_picture else x


def flatten(network, layer, x):
    return network.call(torch.flatten, to_keras_order(network, x), 1)


def reshape(network, layer, x):
    shape = list(np.empty(int(np.prod(x.shape)), bool).reshape(layer.config["target_shape"]).shape)
    if len(shape) not in (1, 3):
        refuse(f"to {'×'.join(map(str, shape))}")
    x = network.call(torch.reshape, to_keras_order(network, x), [-1, *shape])
    return network.call(torch.permute, x, [0, 3, 1, 2]) if len(shape) == 3 else x


def dropout(network, layer, x):
    """At inference nothing; in training as Keras's."""
    kind = nn.Dropout2d if layer.kind == "SpatialDropout2D" else nn.Dropout
    return network.apply(layer.name, kind(layer.config["rate"]), x)


def normalised(network, x):
    return network.call(F.normalize, x, 2.0, 1, 1e-6)  # Keras's epsilon, 1e-12, is under the root


def l2_lambda(network, layer, x):
    """Of the code in a Lambda only its names are looked at."""
    if x.is_picture or not any(b"l2_normalize" in code for code in codes(layer.config["function"])):
        refuse("code of its own, which is not run; only the L2 normalisation of an embedding is recognised")
    print(f"layer {layer.name} ({layer.kind}): taken for an L2 normalisation, by the names in its code")
    return normalised(network, x)


def codes(value):
    """The strings of a config as bytes, and decoded."""
    if isinstance(value, (list, tuple)):
        return [code for one in value for code in codes(one)]
    if isinstance(value, dict):
        return codes(list(value.values()))
    if not isinstance(value, str):
        return []
    try:
        return [value.encode(), base64.b64decode(value)]
    except binascii.Error:
        return [value.encode()]


def unit_length(network, layer, x):
    channels_only(layer, x)
    return normalised(network, x)


def merge(function):
    def fold(network, layer, values):
        if len({value.example.dim() for value in values}) != 1:
            refuse("of a picture and numbers")
        total = values[0]
        for value in values[1:]:
            total = network.call(function, total, value)
        return total

    return fold


def average(network, layer, values):
    return network.call(torch.div, merge(torch.add)(network, layer, values), len(values))


def concatenate(network, layer, values):
    order, axis = axis_of(layer, values[0])
    return network.call(torch.cat, values, order[axis])


READERS = {
    "InputLayer": source,
    "Conv2D": conv,
    "DepthwiseConv2D": depthwise,
    "BatchNormalization": batch_norm,
    "Dense": dense,
    "Activation": lambda network, layer, x: activated(network, layer.config["activation"], x),
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "PReLU": prelu,
    "ZeroPadding2D": padded,
    "MaxPooling2D": max_pool,
    "AveragePooling2D": average_pool,
    "GlobalAveragePooling2D": over_picture(torch.mean),
    "GlobalMaxPooling2D": over_picture(torch.amax),
    "Flatten": flatten,
    "Reshape": reshape,
    "Dropout": dropout,
    "SpatialDropout2D": dropout,
    "Lambda": l2_lambda,
    "UnitNormalization": unit_length,
    "Add": merge(torch.add),
    "Multiply": merge(torch.mul),
    "Maximum": merge(torch.maximum),
    "Average": average,
    "Concatenate": concatenate,
}
MERGING = ("Add", "Multiply", "Maximum", "Average", "Concatenate")
