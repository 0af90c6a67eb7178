"""What the exporters share: each turns a checkpoint that its user has into one TorchScript module with its card.

A checkpoint is a pickle, and a pickle can run code: nothing here loads one but through PyTorch's weights_only reader.
"""
import argparse
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from convert import golden
from fetch_models import ROOT, replace_atomically, sha256_of

MODEL_ERROR, DISK_ERROR = 4, 7  # the program's exit codes for "a model file, its hash or its card" and for the disk
# how PyTorch refuses a pickle's code
CODE = re.compile(r"(?:Trying to load )?unsupported (?:global|class)[^\n]*", re.IGNORECASE)


def fail(message, code=MODEL_ERROR):
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    raise SystemExit(code)


def check_file(path, what):
    """Ends the program where there is no file, or a web page in the place of one."""
    if not path.is_file():
        fail(f"no such file: {path}")
    with open(path, "rb") as file:
        if file.read(512).lstrip().startswith(b"<"):
            fail(f"{path} is an HTML page, not a {what}: the download went wrong")


def dimension_of(module, height, width, path):
    """How many numbers the module makes of a picture. Ends the program where it makes something else of two."""
    with torch.no_grad():
        shape = module(torch.zeros(2, 3, height, width)).shape
    if len(shape) != 2 or shape[0] != 2:
        fail(
            f"{path} is no recogniser: of two pictures it makes {' x '.join(map(str, shape))} numbers, "
            "expected 2 x DIMENSION"
        )
    return shape[1]


def load_state_dict(path, classes=()):
    """Tensors by name. Ends the program, saying why, for anything else. classes: full names of those that such a
    checkpoint mentions beside its weights; empty ones of ours stand in for them:
    nothing of theirs is imported or run."""
    check_file(path, "checkpoint")
    try:
        stand_ins = [(type("StandIn", (), {}), name) for name in classes]
        with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
            warnings.simplefilter("ignore")  # of pickles of other versions
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # half a file can break its reader anywhere
        code = CODE.search(str(error))
        if code:
            fail(f"{path} holds code beside its weights, which was not run: {sentence(code[0])}")
        fail(f"{path} is no PyTorch checkpoint, or a truncated one: {sentence(str(error)) or type(error).__name__}")
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):  # beside an epoch, an optimiser's state
        loaded = loaded["state_dict"]
    named = isinstance(loaded, dict) and all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in loaded.items()
    )
    if not named or not loaded:
        fail(f"{path} is no state dict: it holds a {type(loaded).__name__} of other things than named tensors")
    return loaded


def sentence(text):
    """The first one. What follows is mostly PyTorch's advice to load without the safe reader."""
    return text.strip().split("\n")[0].split(". ")[0].rstrip(".")


def without_prefix(tensors, prefixes):
    """The tensors whose names start with the first of the prefixes that any name has, without it: what wrappers such as
    DataParallel add."""
    for prefix in prefixes:
        inside = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if inside:
            return inside
    return tensors


def unwrap(tensors, prefixes, sign):
    """The network's tensors, without the first of the prefixes under which a name goes on with the sign; none, if there
    is no such. Says what else the checkpoint holds, a head mostly, which is dropped."""
    for prefix in prefixes:
        if any(name.startswith(prefix + sign) for name in tensors):
            dropped = [name for name in tensors if not name.startswith(prefix)]
            if dropped:
                print(
                    f"dropped, as no part of the network: {', '.join(dropped[:3])}{', ...' if len(dropped) > 3 else ''}"
                )
            return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return {}


def check_keys(found, wanted, complaint):
    """found: tensors by name. wanted: shapes by name. Ends the program with the complaint and what is missing,
    unexpected or misshapen."""
    parts = [
        ("missing", [key for key in wanted if key not in found]),
        ("unexpected", [key for key in found if key not in wanted]),
        ("of another shape", [f"{key} {tuple(found[key].shape)} for {tuple(wanted[key])}"
                              for key in wanted if key in found and tuple(found[key].shape) != tuple(wanted[key])]),
    ]  # fmt: skip
    said = [
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})" for kind, keys in parts if keys
    ]
    if said:
        fail(f"{complaint}: {'; '.join(said)}")


def save_module(module, path):
    """Scripts and saves, whole or not at all; not frozen, for a frozen module no longer casts.
    Returns the file's sha256."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated; it is what LibTorch reads
        scripted = torch.jit.script(module.eval().requires_grad_(False))
        replace_atomically(path, lambda temporary: torch.jit.save(scripted, temporary))
    return sha256_of(path)


def write_json(value, path):
    text = json.dumps(value, indent=2) + "\n"
    replace_atomically(path, lambda temporary: Path(temporary).write_text(text))


def load_into(module, tensors, complaint):
    """The module with a checkpoint's weights in float32. Counters of batches, which no network needs,
    may be missing."""
    wanted = {
        name: tensor.shape for name, tensor in module.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    found = {name: tensor.float() for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    check_keys(found, wanted, complaint)
    module.load_state_dict(found, strict=False)
    return module.eval()


def plain_name(text):
    if not re.fullmatch(r"\w[\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: letters, digits, dots, dashes; -o gives the folder")
    return text


def arguments(doc, default_name=None):
    """default_name: none where it depends on the file."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "--name",
        type=plain_name,
        default=default_name,
        help=f"of the card and the weights (default: {default_name or 'by the file'})",
    )
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "models", metavar="FOLDER", help="default: models")
    return parser


def write(module, output, card, options, network):
    """NAME.pt, golden/NAME.npy and NAME.json. Returns the weights' sha256."""
    (options.output / "golden").mkdir(parents=True, exist_ok=True)
    sha256 = save_module(module, options.output / f"{options.name}.pt")
    replace_atomically(options.output / "golden" / f"{options.name}.npy", lambda path: save_npy(path, output))
    made = {"file": f"golden/{options.name}.npy", "made_with": f"PyTorch {torch.__version__}, eager, CPU"}
    card |= {"file": f"./{options.name}.pt", "sha256": sha256, "golden": made}
    card["source"] = {
        **card.get("source", {}),
        "exported_from": options.checkpoint.name,
        "exported_sha256": sha256_of(options.checkpoint),
    }
    if network:
        card["source"]["network"] = network
    write_json(card, options.output / f"{options.name}.json")
    return sha256


def finish(module, family_card, options, network=None):
    """Writes NAME.pt, its golden embedding and NAME.json: the committed card of that name, else the family's (by name,
    or itself), with what only this machine knows. In models/ that completes the committed card; anywhere,
    `-e FOLDER/NAME.json` takes it. network: which of a family's it is."""
    cards = ROOT / "configs/extractors"
    committed = cards / f"{options.name}.json"
    known = committed if committed.exists() else cards / f"{family_card}.json" if isinstance(family_card, str) else None
    card = json.loads(known.read_text()) if known else dict(family_card)
    output = golden.golden_output(module, options.name, card)
    if output.size != card.setdefault("dimension", output.size):  # not every card knows it beforehand
        fail(f"{options.checkpoint} gives {output.size} numbers a face; the card {known.name} says {card['dimension']}")
    if not np.isfinite(output).all():
        fail(f"{options.checkpoint} gives no finite numbers for a face: its weights are damaged")
    try:
        sha256 = write(module, output, card, options, network)
    except OSError as error:
        fail(f"cannot write to {options.output}: {error.strerror or error}", DISK_ERROR)
    weights = options.output / f"{options.name}.pt"
    parameters = sum(p.numel() for p in module.parameters())
    which = f"{network}, " if network else ""
    print(
        f"{options.checkpoint.name}: {which}{parameters:,} parameters, {output.size}-d; "
        f"wrote {weights}, sha256 {sha256[:16]}"
    )


def save_npy(path, output):
    with open(path, "wb") as file:  # given a name, NumPy would add an extension
        np.save(file, output)
