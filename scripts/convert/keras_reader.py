"""Reads a Keras network from the description in its .h5 file (of Keras 2 or 3)."""
import operator

import numpy as np
import torch
import torch.nn.functional as F

from .builder import Builder

MODELS = ("Functional", "Model", "Sequential")


def read_keras(description, weights, output=None):
    """Returns a torch.fx GraphModule on N×3×H×W. description: model_config, with "keras_version". weights: arrays by
    "layer/kind". output: the layer that gives the result; by default the model's output."""
    h, w, c = input_shape(description)
    if c != 3:
        raise NotImplementedError(f"pictures with {c} channels; expected 3")
    builder = Builder((c, h, w), "hwc")
    builder.steep = 1 / 6 if str(description.get("keras_version", "2")).startswith("3") else 0.2
    result = builder.tensor(apply_model(builder, weights, description, builder.input, output))
    if result.picture:
        raise NotImplementedError("a picture that is flattened at the end: its numbers would be in another order")
    return builder.module(result)


def names_of(model):
    """The names of all layers, also of those in inner models."""
    for layer in layers_of(model):
        yield layer["config"]["name"]
        if layer["class_name"] in MODELS:
            yield from names_of(layer)


def layers_of(model):
    config = model["config"]
    return config if isinstance(config, list) else config["layers"]


def input_shape(model):
    """Height, width, channels."""
    for layer in layers_of(model):
        if layer["class_name"] in MODELS:
            return input_shape(layer)
        config = layer["config"]
        shape = config.get("batch_input_shape") or config.get("batch_shape")
        if shape:
            if len(shape) != 4 or None in shape[1:]:
                raise NotImplementedError(f"an input of the shape {shape}: expected pictures of one size")
            return shape[1:]
    raise NotImplementedError("a model without an input shape")


def histories(value):
    """The (layer, node) pairs of a call's tensors, in order. Keras 2 writes [name, node, tensor, …], Keras 3 a
    described tensor."""
    if isinstance(value, dict):
        return (
            [tuple(value["config"]["keras_history"][:2])]
            if value.get("class_name") == "__keras_tensor__"
            else histories(list(value.values()))
        )
    if not isinstance(value, list):
        return []
    if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [(value[0], value[1])]
    return [pair for part in value for pair in histories(part)]


def calls_of(layer):
    """The inputs of each use of the layer."""
    return [histories(node["args"] if isinstance(node, dict) else node) for node in layer["inbound_nodes"]]


def apply_model(builder, weights, model, x, output=None):
    if model["class_name"] == "Sequential":
        for layer in layers_of(model):
            x = apply(builder, weights, layer, [x])
            if layer["config"]["name"] == output:
                break
        return x
    values, waiting = {}, []
    for layer in layers_of(model):
        if layer["class_name"] == "InputLayer":
            values[layer["config"]["name"], 0] = x
        else:
            waiting += [(layer, k, inputs) for k, inputs in enumerate(calls_of(layer))]
    while waiting:
        ready = [call for call in waiting if all(pair in values for pair in call[2])]
        if not ready:
            raise NotImplementedError(f"the layer {waiting[0][0]['config']['name']}: its inputs are not in the model")
        for layer, k, inputs in ready:
            values[layer["config"]["name"], k] = apply(builder, weights, layer, [values[pair] for pair in inputs])
        waiting = [call for call in waiting if (call[0]["config"]["name"], call[1]) not in values]
    ends = [(output, 0)] if output else histories(model["config"]["output_layers"])
    if len(ends) != 1 or ends[0] not in values:
        raise NotImplementedError(
            f"{len(ends)} outputs" if len(ends) != 1 else f"the output {ends[0][0]}: no layer has that name"
        )
    return values[ends[0]]


def apply(builder, weights, layer, inputs):
    kind, config = layer["class_name"], layer["config"]
    if kind in MODELS:
        return apply_model(builder, weights, layer, *inputs)
    if kind == "Lambda":
        raise NotImplementedError(f"the Lambda layer {config['name']}, which holds code, and code is not run")
    if kind not in READERS:
        raise NotImplementedError(f"Keras layer {kind} ({config['name']})")
    if config.get("data_format", "channels_last") != "channels_last":
        raise NotImplementedError("channels first")
    return READERS[kind](builder, inputs, config, Weights(weights, config["name"]))


class Weights:
    """One layer's arrays."""

    def __init__(self, weights, layer):
        self.weights, self.layer = weights, layer

    def __call__(self, *kinds):
        """The array of the first kind that exists."""
        for kind in kinds:
            if f"{self.layer}/{kind}" in self.weights:
                return self.weights[f"{self.layer}/{kind}"]
        raise NotImplementedError(f"the weights {self.layer}/{kinds[0]} are missing")

    def of(self, config, kind):
        """An array that some files store as a setting and others as a weight."""
        return np.asarray(self(kind) if config.get(kind) is None else config[kind], np.float32)


def one(value):
    """A stride or a size; it must be the same in both directions."""
    first, *others = value if isinstance(value, (list, tuple)) else [value]
    if any(other != first for other in others):
        raise NotImplementedError(f"uneven strides or windows {value}")
    return first


def hard_sigmoid(builder, v):
    """The slope differs between Keras 2 and Keras 3."""
    line = builder.apply(operator.add, builder.apply(operator.mul, v, builder.steep), 0.5)
    return builder.apply(torch.clamp, line, 0.0, 1.0)


ACTIVATIONS = {
    "linear": lambda builder, v: v,
    "relu": Builder.relu,
    "relu6": lambda builder, v: builder.apply(F.hardtanh, v, 0.0, 6.0),
    "sigmoid": lambda builder, v: builder.apply(torch.sigmoid, v),
    "hard_sigmoid": hard_sigmoid,
    "tanh": lambda builder, v: builder.apply(torch.tanh, v),
    "swish": lambda builder, v: builder.apply(F.silu, v),
    "silu": lambda builder, v: builder.apply(F.silu, v),
    "elu": lambda builder, v: builder.apply(F.elu, v),
    "gelu": lambda builder, v: builder.apply(F.gelu, v),
}


def activated(builder, v, config):
    activation = config.get("activation", "linear")
    activation = activation if isinstance(activation, str) else activation["config"]["name"]
    if activation in ACTIVATIONS:
        return ACTIVATIONS[activation](builder, v)
    what = (
        "a classifier's head; --layer names the layer before it"
        if activation == "softmax"
        else "it is not supported"
    )
    raise NotImplementedError(f"the activation {activation} of {config['name']}: {what}")


def convolved(builder, v, kernel, bias, config, groups=1):
    """kernel: out × in × height × width."""
    return builder.conv(
        v, kernel, bias, config["strides"], config["padding"], groups, config.get("dilation_rate") or 1
    )


def depthwise_kernel(kernel):
    """From height × width × in × multiplier."""
    height, width, inputs, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(inputs * multiplier, 1, height, width)


def conv(builder, inputs, config, weights):
    bias = weights("bias") if config["use_bias"] else None
    kernel = weights("kernel").transpose(3, 2, 0, 1)
    return activated(builder, convolved(builder, inputs[0], kernel, bias, config, config.get("groups", 1)), config)


def depthwise(builder, inputs, config, weights):
    kernel = weights("depthwise_kernel", "kernel")
    bias = weights("bias") if config["use_bias"] else None
    found = convolved(builder, inputs[0], depthwise_kernel(kernel), bias, config, kernel.shape[2])
    return activated(builder, found, config)


def separable(builder, inputs, config, weights):
    kernel = weights("depthwise_kernel")
    v = convolved(builder, inputs[0], depthwise_kernel(kernel), None, config, kernel.shape[2])
    bias = weights("bias") if config["use_bias"] else None
    return activated(builder, builder.conv(v, weights("pointwise_kernel").transpose(3, 2, 0, 1), bias), config)


def dense(builder, inputs, config, weights):
    kernel, bias = weights("kernel").T, weights("bias") if config["use_bias"] else None
    if len(inputs[0].shape) == 3:  # each pixel separately
        return activated(builder, builder.conv(inputs[0], kernel[..., None, None], bias), config)
    return activated(builder, builder.linear(inputs[0], kernel, bias), config)


def batch_norm(builder, inputs, config, weights):
    axis = config.get("axis", -1)
    if (axis[0] if isinstance(axis, list) else axis) not in (-1, len(inputs[0].shape)):
        raise NotImplementedError(f"a norm over the axis {axis}")
    scale, bias = (
        weights("gamma") if config.get("scale", True) else 1,
        weights("beta") if config.get("center", True) else 0,
    )
    return builder.batch_norm(
        inputs[0], scale, bias, weights("moving_mean"), weights("moving_variance"), config["epsilon"]
    )


def activation(builder, inputs, config, _):
    return activated(builder, inputs[0], config)


def relu(builder, inputs, config, _):
    highest, slope = config.get("max_value"), config.get("negative_slope") or config.get("alpha") or 0
    if config.get("threshold") or highest is not None and slope:
        raise NotImplementedError("a ReLU with a threshold, or with a limit and a slope")
    if highest is not None:
        return builder.apply(F.hardtanh, inputs[0], 0.0, float(highest))
    return builder.apply(F.leaky_relu, inputs[0], float(slope)) if slope else builder.relu(inputs[0])


def leaky(builder, inputs, config, _):
    return builder.apply(F.leaky_relu, inputs[0], float(config.get("negative_slope", config.get("alpha", 0.3))))


def rescaling(builder, inputs, config, _):
    return builder.add(builder.mul(inputs[0], np.asarray(config["scale"])), np.asarray(config["offset"]))


def normalization(builder, inputs, config, weights):
    if config.get("invert") or config.get("axis") not in (-1, [-1], len(inputs[0].shape), [len(inputs[0].shape)], None):
        raise NotImplementedError(f"the normalisation {config['name']} over axes other than the channels, or inverted")
    mean, variance = [weights.of(config, kind).squeeze() for kind in ("mean", "variance")]
    factor = 1 / np.maximum(np.sqrt(variance.astype(np.float64)), 1e-7)
    return builder.mul(builder.add(inputs[0], -mean), factor)


def reshape(builder, inputs, config, _):
    v, target = inputs[0], list(config["target_shape"])
    if target == [1, 1, *v.shape[:1]] or target == [1, 1, -1] and len(v.shape) == 1:
        return v if len(v.shape) == 3 else builder.apply(torch.reshape, v, [-1, *v.shape, 1, 1])
    if len(target) == 1:
        return builder.flatten(v) if len(v.shape) == 3 else v
    raise NotImplementedError(f"the layer {config['name']}, which makes {target} of {v.shape[1:]} x {v.shape[0]}")


def multiply(builder, inputs, *_):
    product = inputs[0]
    for other in inputs[1:]:
        product = builder.mul(product, other)
    return product


def zero_padding(builder, inputs, config, _):
    (top, bottom), (left, right) = config["padding"]
    return builder.padded(inputs[0], (top, bottom, left, right))


def max_pool(builder, inputs, config, _):
    return builder.max_pool(inputs[0], one(config["pool_size"]), one(config["strides"]), config["padding"])


def avg_pool(builder, inputs, config, _):
    size, stride = one(config["pool_size"]), one(config["strides"])
    if config["padding"] != "valid":
        raise NotImplementedError("a mean over padded windows")
    if stride == size:
        return builder.avg_pool(inputs[0], size)
    return builder.apply(F.avg_pool2d, inputs[0], size, stride)


def over_picture(function):
    def read(builder, inputs, config, _):
        return builder.apply(function, inputs[0], [2, 3], keepdim=bool(config.get("keepdims")))

    return read


def concatenate(builder, inputs, config, _):
    if config.get("axis", -1) not in (-1, len(inputs[0].shape)):
        raise NotImplementedError(f"a concatenation along the axis {config['axis']}")
    return builder.concatenate(inputs)


def add(builder, inputs, *_):
    total = inputs[0]
    for other in inputs[1:]:
        total = builder.add(total, other)
    return total


def same(builder, inputs, *_):
    return inputs[0]


READERS = {
    "Conv2D": conv,
    "DepthwiseConv2D": depthwise,
    "SeparableConv2D": separable,
    "Dense": dense,
    "BatchNormalization": batch_norm,
    "Activation": activation,
    "ReLU": relu,
    "LeakyReLU": leaky,
    "PReLU": lambda builder, inputs, config, weights: builder.prelu(inputs[0], weights("alpha")),
    "Normalization": normalization,
    "Rescaling": rescaling,
    "ZeroPadding2D": zero_padding,
    "MaxPooling2D": max_pool,
    "AveragePooling2D": avg_pool,
    "GlobalAveragePooling2D": over_picture(torch.mean),
    "GlobalMaxPooling2D": over_picture(torch.amax),
    "Multiply": multiply,
    "Reshape": reshape,
    "Concatenate": concatenate,
    "Add": add,
    "Flatten": lambda builder, inputs, *_: builder.flatten(inputs[0]),
    "InputLayer": same,
    "Dropout": same,
    "SpatialDropout2D": same,
    "GaussianNoise": same,
}
