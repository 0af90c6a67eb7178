"""Reads Keras's .h5 files: the numbers and the network's description, no code."""
import json

import h5py
from convert.keras_reader import MODELS, layers_of, names_of
from export.base import KERAS, check_file, fail, sentence


def attribute(group, name):
    """A list of names. Keras splits a long one into several attributes."""
    if name in group.attrs:
        found = group.attrs[name]
    else:
        found = []
        while f"{name}{len(found)}" in group.attrs:
            found.append(group.attrs[f"{name}{len(found)}"])
        found = [entry for part in found for entry in part]
    return [text(entry) for entry in found]


def text(entry):
    return entry.decode() if isinstance(entry, bytes) else str(entry)


def layer_of(path, names):
    """The layer of a weight inside a model. The weight's path ends with its name, which may contain slashes."""
    parts = path.split("/")
    return next(name for k in range(len(parts)) if (name := "/".join(parts[k:])) in names)


def read_h5(path):
    """The model's description (None if only weights were saved) and the weights: arrays by "layer/kind", in the
    network's order."""
    check_file(path, "Keras file", KERAS)
    try:
        with h5py.File(path, "r") as file:
            described = file.attrs.get("model_config")
            description = None if described is None else json.loads(described)
            inside_models = {}
            if description:
                description["keras_version"] = text(file.attrs.get("keras_version", "2"))
                models = [layer for layer in layers_of(description) if layer["class_name"] in MODELS]
                inside_models = {model["config"]["name"]: set(names_of(model)) for model in models}
            group, weights = file.get("model_weights", file), {}
            for layer in attribute(group, "layer_names"):
                for name in attribute(group[layer], "weight_names"):
                    inside, kind = name.split(":")[0].rsplit("/", 1)
                    key = f"{layer_of(inside, inside_models[layer]) if layer in inside_models else layer}/{kind}"
                    if key in weights:
                        raise ValueError(f"it has two layers called {key.rsplit('/', 1)[0]}")
                    weights[key] = group[layer][name][()]
    except Exception as error:  # a truncated file can raise anything
        fail(f"{path} is not a Keras .h5 file, or is truncated: {sentence(str(error)) or type(error).__name__}")
    if not weights:
        fail(f"{path} holds no weights in Keras's layout")
    return description, weights
