"""Reads the layers' weights out of Keras's .h5 files, without Keras and without running any code that a file may hold."""
import json
from pathlib import Path

import numpy as np
from export.base import fail, sentence

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MISSING = "reading a .h5 file needs h5py, which scripts/requirements.txt has: .venv/bin/pip install -r scripts/requirements.txt"


def is_h5(path):
    path = Path(path)
    return path.is_file() and path.open("rb").read(len(SIGNATURE)) == SIGNATURE


def read_h5(path):
    """Each layer's arrays, as (name, array), in the file's order; and what the file says of its network, None where it has weights only."""
    path = Path(path)
    if not path.is_file():
        fail(f"no such file: {path}")
    if path.open("rb").read(512).lstrip().startswith(b"<"):
        fail(f"{path} is an HTML page, not a checkpoint: the download went wrong")
    try:
        import h5py
    except ImportError:
        fail(MISSING)
    try:
        with h5py.File(path, "r") as file:
            layers = read_layers(file["model_weights"] if "model_weights" in file else file)
            described = file.attrs.get("model_config")
    except Exception as error:  # half a file can break its reader anywhere
        fail(f"{path} is no HDF5 file, or a truncated one: {sentence(str(error)) or type(error).__name__}")
    if not layers:
        fail(f"{path} is no .h5 file of Keras's: it names no layers with weights")
    return layers, None if described is None else json.loads(text(described))


def read_layers(group):
    layers = {name: [(weight, np.asarray(group[name][weight])) for weight in texts(group[name].attrs, "weight_names")]
              for name in texts(group.attrs, "layer_names")}  # fmt: skip
    return {name: weights for name, weights in layers.items() if weights}


def texts(attributes, name):
    """A list of names. HDF5 takes no long ones: Keras cuts them into NAME0, NAME1, …"""
    parts = [attributes[name]] if name in attributes else []
    while f"{name}{len(parts)}" in attributes:
        parts.append(attributes[f"{name}{len(parts)}"])
    return [text(one) for part in parts for one in part]


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def by_name(layers):
    """{"LAYER/kernel": array, …}, however a Keras version decorates the names within a layer."""
    return {f"{layer}/{name.split('/')[-1].split(':')[0]}": array for layer, weights in layers.items() for name, array in weights}


def to_torch(kernel):
    """A kernel in PyTorch's order: H×W×in×out as out×in×H×W, in×out as out×in."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T, dtype=np.float32)
