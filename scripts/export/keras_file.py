"""Reads Keras's .h5 files: numbers and the description of the network, no code."""
import json

import h5py
from convert.keras_reader import MODELS, layers_of
from export.base import KERAS, check_file, fail, sentence


def attribute(group, name):
    """A list of names, which Keras cuts into several attributes where it is long."""
    if name in group.attrs:
        found = group.attrs[name]
    else:
        found = []
        while f"{name}{len(found)}" in group.attrs:
            found.append(group.attrs[f"{name}{len(found)}"])
        found = [entry for part in found for entry in part]
    return [entry.decode() if isinstance(entry, bytes) else str(entry) for entry in found]


def read_h5(path):
    """The model's description (None where only weights were saved) and the weights: arrays by "layer/kind", in the
    network's order."""
    check_file(path, "Keras file", KERAS)
    try:
        with h5py.File(path, "r") as file:
            described = file.attrs.get("model_config")
            description = None if described is None else json.loads(described)
            nested = (
                [layer["config"]["name"] for layer in layers_of(description) if layer["class_name"] in MODELS]
                if description
                else []
            )
            group, weights = file.get("model_weights", file), {}
            for layer in attribute(group, "layer_names"):
                for name in attribute(group[layer], "weight_names"):
                    inside, kind = name.split(":")[0].rsplit("/", 1)
                    weights[f"{inside.removeprefix(layer + '/') if layer in nested else layer}/{kind}"] = (
                        group[layer][name][()]
                    )
    except Exception as error:  # half a file can break its reader anywhere
        fail(f"{path} is no Keras .h5 file, or a truncated one: {sentence(str(error)) or type(error).__name__}")
    if not weights:
        fail(f"{path} holds no weights as Keras saves them")
    return description, weights
