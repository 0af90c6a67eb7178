"""Reads a Keras network by the description that its .h5 file carries (Keras 2's and 3's)."""
from .builder import Builder

MODELS = ("Functional", "Model", "Sequential")


def read_keras(description, weights, output=None):
    """description: model_config. weights: arrays by "layer/kind". output: the layer whose output is the result; by
    default the model's. Returns a torch.fx GraphModule on N×3×H×W."""
    h, w, c = input_shape(description)
    builder = Builder((c, h, w), "hwc")
    result = builder.tensor(apply_model(builder, weights, description, builder.input, output))
    if result.picture:
        raise NotImplementedError("a picture that is flattened at the end: its numbers would come in another order")
    return builder.module(result)


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
                raise NotImplementedError(f"an input of the shape {shape}: pictures of one size are expected")
            return shape[1:]
    raise NotImplementedError("a model that does not say what it takes")


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
    """For each time that the layer is used, its inputs."""
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
            raise NotImplementedError(f"the layer {waiting[0][0]['config']['name']}, whose inputs come from nowhere")
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

    def __call__(self, kind):
        key = f"{self.layer}/{kind}"
        if key not in self.weights:
            raise NotImplementedError(f"the weights {key} are missing")
        return self.weights[key]


def one(value):
    """A stride or a size, the same in both directions."""
    first, *others = value if isinstance(value, (list, tuple)) else [value]
    if any(other != first for other in others):
        raise NotImplementedError(f"uneven strides or windows {value}")
    return first


def activated(builder, v, config):
    activation = config.get("activation", "linear")
    activation = activation if isinstance(activation, str) else activation["config"]["name"]
    if activation == "linear":
        return v
    if activation == "relu":
        return builder.relu(v)
    what = (
        "a classifier's head; --layer names the layer before it"
        if activation == "softmax"
        else "which is not known here"
    )
    raise NotImplementedError(f"the activation {activation} of {config['name']}: {what}")


def conv(builder, inputs, config, weights):
    if one(config.get("dilation_rate", 1)) != 1 or config.get("groups", 1) != 1:
        raise NotImplementedError("a dilated or grouped convolution")
    bias = weights("bias") if config["use_bias"] else None
    # from HWIO
    found = builder.conv(
        inputs[0], weights("kernel").transpose(3, 2, 0, 1), bias, one(config["strides"]), config["padding"]
    )
    return activated(builder, found, config)


def dense(builder, inputs, config, weights):
    found = builder.linear(inputs[0], weights("kernel").T, weights("bias") if config["use_bias"] else None)
    return activated(builder, found, config)


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
    if config.get("max_value") is not None or config.get("negative_slope") or config.get("threshold"):
        raise NotImplementedError("a ReLU with a limit, a slope or a threshold")
    return activated(builder, inputs[0], {"activation": "relu", **config})


def zero_padding(builder, inputs, config, _):
    (top, bottom), (left, right) = config["padding"]
    return builder.padded(inputs[0], (top, bottom, left, right))


def max_pool(builder, inputs, config, _):
    return builder.max_pool(inputs[0], one(config["pool_size"]), one(config["strides"]), config["padding"])


def avg_pool(builder, inputs, config, _):
    size = one(config["pool_size"])
    if one(config["strides"]) != size or config["padding"] != "valid":
        raise NotImplementedError("a mean over windows that overlap or are padded")
    return builder.avg_pool(inputs[0], size)


def global_mean(builder, inputs, config, _):
    if config.get("keepdims"):
        raise NotImplementedError("a mean that keeps its axes")
    return builder.mean(inputs[0])


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
    "Dense": dense,
    "BatchNormalization": batch_norm,
    "Activation": activation,
    "ReLU": activation,
    "ZeroPadding2D": zero_padding,
    "MaxPooling2D": max_pool,
    "AveragePooling2D": avg_pool,
    "GlobalAveragePooling2D": global_mean,
    "Concatenate": concatenate,
    "Add": add,
    "Flatten": lambda builder, inputs, *_: builder.flatten(inputs[0]),
    "InputLayer": same,
    "Dropout": same,
}
