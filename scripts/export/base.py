"""What the exporters share: each turns a checkpoint that its user has into one TorchScript module with its record.

A checkpoint is a pickle, and a pickle can run code: nothing here loads one but through PyTorch's weights_only reader.
"""
import json
import re
import sys
import warnings
from pathlib import Path

import torch
from fetch_models import replace_atomically, sha256_of

MODEL_ERROR = 4  # the program's exit code for "a model file, its hash or its card"
CODE = re.compile(r"(?:Trying to load )?unsupported (?:global|class)[^\n]*", re.IGNORECASE)  # how PyTorch refuses a pickle's code


def fail(message):
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    raise SystemExit(MODEL_ERROR)


def load_state_dict(path):
    """Tensors by name. Ends the program, saying why, for anything else."""
    path = Path(path)
    if not path.is_file():
        fail(f"no such file: {path}")
    with open(path, "rb") as file:
        if file.read(512).lstrip().startswith(b"<"):
            fail(f"{path} is an HTML page, not a checkpoint: the download went wrong")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles of other versions
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # half a file can break its reader anywhere
        code = CODE.search(str(error))
        if code:
            fail(f"{path} holds code beside its weights, which was not run: {sentence(code[0])}")
        fail(f"{path} is no PyTorch checkpoint, or a truncated one: {sentence(str(error)) or type(error).__name__}")
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in loaded.items()):
        fail(f"{path} is no state dict: it holds a {type(loaded).__name__} of other things than named tensors")
    return loaded


def sentence(text):
    """The first one. What follows is mostly PyTorch's advice to load without the safe reader."""
    return text.strip().split("\n")[0].split(". ")[0].rstrip(".")


def check_keys(found, wanted, complaint):
    """found: tensors by name. wanted: shapes by name. Ends the program with the complaint and what is missing, unexpected or misshapen."""
    parts = [
        ("missing", [key for key in wanted if key not in found]),
        ("unexpected", [key for key in found if key not in wanted]),
        ("of another shape", [f"{key} {tuple(found[key].shape)} for {tuple(wanted[key])}"
                              for key in wanted if key in found and tuple(found[key].shape) != tuple(wanted[key])]),
    ]  # fmt: skip
    said = [f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})" for kind, keys in parts if keys]
    if said:
        fail(f"{complaint}: {'; '.join(said)}")


def save_module(module, path):
    """Scripts and saves, whole or not at all; not frozen, for a frozen module no longer casts. Returns the file's sha256."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated; it is what LibTorch reads
        scripted = torch.jit.script(module.eval().requires_grad_(False))
        replace_atomically(path, lambda temporary: torch.jit.save(scripted, temporary))
    return sha256_of(path)


def write_json(value, path):
    text = json.dumps(value, indent=2) + "\n"
    replace_atomically(path, lambda temporary: Path(temporary).write_text(text))
