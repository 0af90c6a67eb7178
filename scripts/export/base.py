"""Shared code of the exporters. Each turns a user's checkpoint into one TorchScript module with its card.

A checkpoint is a pickle, and a pickle can run code, so it is only loaded through PyTorch's weights_only reader.
"""
import argparse
import json
import re
import sys
import warnings
import zipfile
from pathlib import Path

from convert import golden, torchscript

if Path(sys.argv[0]).resolve().parent == Path(__file__).resolve().parent:  # an exporter as a program, not its test
    torchscript.fix_hashes()
import numpy as np  # noqa: E402
import safetensors.torch  # noqa: E402
import torch  # noqa: E402
from fetch_models import ROOT, sha256_of  # noqa: E402
from outputs import WouldReplace, check_outputs, replace_atomically  # noqa: E402

# The program's exit codes for the command line, for "a model file, its hash or its card" and for the disk.
USAGE_ERROR, MODEL_ERROR, DISK_ERROR = 2, 4, 7
# PyTorch's messages when it refuses code.
CODE = re.compile(r"(?:Trying to load )?unsupported (?:global|class)[^\n]*|(?:Can only|Trying to call) [^\n]*", re.I)
# Python objects that trainers store with the weights. Empty classes replace them: no code of theirs is imported or
# run, and their contents are not read.
HARMLESS = (
    "argparse.Namespace",
    *(f"pathlib.{name}Path" for name in ("Posix", "Windows", "PurePosix", "PureWindows")),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "numpy.ndarray",
    "numpy.dtype",
    # some versions of PyTorch Lightning use this class itself as the key of its state
    *(f"{maker}.callbacks.model_checkpoint.ModelCheckpoint" for maker in ("pytorch_lightning", "lightning.pytorch")),
)
# Keys of the tensors in files that also hold an epoch or an optimiser's state (state_dict_backbone: InsightFace).
NESTED = (
    "state_dict",
    "state_dict_backbone",
    "model_state_dict",
    "net_state_dict",
    "model",
    "net",
    "network",
    "backbone",
)
PACKED = "_packed_params"
WRAPPERS = ("model", "net", "network", "backbone", "encoder")  # prefixes of a network inside another
# The kinds of files, known by their first bytes, and their readers.
KERAS, MXNET, TFLITE, ONNX, PYTORCH = (
    "a Keras file (HDF5)",
    "a .params file of MXNet",
    "a TFLite file",
    "an ONNX file",
    "a PyTorch checkpoint",
)
READ_BY = {
    KERAS: "facenet.py, fawkes.py, ghostfacenet.py and vggface.py read such files",
    MXNET: "mobilefacenet.py reads MobileFaceNet's; other networks are in the .json file next to it, for MXNet",
    TFLITE: "no exporter reads such files",
    ONNX: "onnx.py reads such files",
    PYTORCH: "the exporter of its network reads it",
}
SAVE_TENSORS = "if you have and trust its code, torch.save(model.state_dict(), FILE) saves only the tensors"


def fail(message, code=MODEL_ERROR):
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    raise SystemExit(code)


def in_its_place(start):
    """Names a file that is not the expected one, by its first bytes; or None."""
    if not start:
        return "is empty: the download went wrong"
    if start.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the {what} itself: git lfs pull in the clone fetches it"
    if start.lstrip().startswith(b"<"):
        return "is an HTML page, not a {what}: the download went wrong"
    if start.lstrip().startswith((b'{"', b"{\n", b"{ ")):
        return "is JSON text, not a {what}: the download went wrong, or it is another file of the same folder"
    return None


def kind_of(path):
    """The kind of a file, by its first bytes; None if it is not known."""
    with open(path, "rb") as file:
        start = file.read(16)
    if start.startswith(b"\x89HDF"):
        return KERAS
    if start == (0x112).to_bytes(16, "little"):
        return MXNET
    if start[4:8] == b"TFL3":
        return TFLITE
    if start[:1] == b"\x08" and start[2:3] in (b"\x12", b":"):  # a version and a name, or a graph
        return ONNX
    if start.startswith(b"\x80\x02") or zipfile.is_zipfile(path) and is_pickle_in_zip(path):
        return PYTORCH
    return None


def is_pickle_in_zip(path):
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("data.pkl") for name in archive.namelist())


def check_file(path, what, kind):
    """Ends the program if the file is missing or of another kind. kind: the kind that is read."""
    if not path.is_file():
        fail(f"no such file: {path}")
    with open(path, "rb") as file:
        found = in_its_place(file.read(512))
    if found:
        fail(f"{path} {found.format(what=what)}")
    other = kind_of(path)
    if other and other != kind:
        fail(f"{path} is {other}, not {kind}: {READ_BY[other]}")


def dimension_of(module, height, width, path):
    """The length of a picture's embedding. Ends the program if two pictures do not give two embeddings."""
    with torch.no_grad():
        shape = module(torch.zeros(2, 3, height, width)).shape
    if len(shape) != 2 or shape[0] != 2:
        fail(
            f"{path} is not a recogniser: for two pictures it gives {' x '.join(map(str, shape))} numbers, "
            "expected 2 x DIMENSION"
        )
    return shape[1]


def no_checkpoint(path, reason):
    """Explains why PyTorch's reader refused a file. reason: its message."""
    names = []
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    if any("/code/" in name for name in names):
        return "is a TorchScript file, and its code is not run here: it needs a card, not an export"
    if any(name.endswith(("serialized_exported_program.json", "archive_format")) for name in names):
        return f"is a program of torch.export (.pt2), not a state dict: {SAVE_TENSORS}"
    if names and not any(name.endswith("data.pkl") for name in names):
        return f"is a zip of {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}: unpack it"
    code = CODE.search(reason)
    if not code:
        return f"is not a PyTorch checkpoint, or is truncated: {sentence(reason)}"
    if any(name.startswith("torch.nn.modules.") for name in classes_named(path)):
        return f"is a whole network, pickled with the names of its classes; their code is not run: {SAVE_TENSORS}"
    return f"holds weights and code; the code was not run: {sentence(code[0])}; {SAVE_TENSORS}"


def classes_named(path):
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # of PyTorch's older format
        return []


def is_safetensors(path):
    """Looks at the file's start (the length of a JSON header, and the header), not at its name."""
    with open(path, "rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def read_checkpoint(path):
    try:
        if is_safetensors(path):
            return safetensors.torch.load_file(path)
        stand_ins = [(type("StandIn", (StandIn,), {}), name) for name in HARMLESS]
        with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
            warnings.simplefilter("ignore")  # of pickles of other versions
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a truncated file can raise anything
        fail(f"{path} {no_checkpoint(path, str(error).strip() or type(error).__name__)}")


class StandIn:
    def __new__(cls, *arguments, **named):
        return super().__new__(cls)

    def __init__(self, *arguments, **named):
        pass

    def __setstate__(self, state):
        pass


def load_state_dict(path):
    """Tensors by name, without the prefixes of DataParallel and torch.compile. Ends the program with a reason if the
    file holds anything else."""
    check_file(path, "checkpoint", PYTORCH)
    loaded = unpacked(read_checkpoint(path))
    while isinstance(loaded, dict) and not are_tensors(loaded):
        inner = [loaded[key] for key in NESTED if isinstance(loaded.get(key), dict)]
        if not inner:
            break
        loaded = unpacked(inner[0])
    if not are_tensors(loaded):
        keys = [str(key) for key in loaded] if isinstance(loaded, dict) else []
        found = f"a dict of {', '.join(keys[:6])}{', ...' if len(keys) > 6 else ''}" if keys else type(loaded).__name__
        fail(f"{path} is not a state dict: it holds {found}; expected tensors by name, or under {', '.join(NESTED)}")
    return {re.sub(r"(?:(?<=\.)|^)(?:module|_orig_mod)\.", "", name): tensor for name, tensor in loaded.items()}


def unpacked(loaded):
    """Tensors by name. Unpacks the (weight, bias) pairs of PyTorch's quantised linear layers and drops the scales of
    their outputs. The weights stay quantised tensors."""
    if not isinstance(loaded, dict):
        return loaded
    pairs = {name: value for name, value in loaded.items() if str(name).endswith(f"{PACKED}.{PACKED}")}
    layers = {name.removesuffix(f"{PACKED}.{PACKED}") for name, value in pairs.items() if isinstance(value, tuple)}
    beside = {layer + part for layer in layers for part in (f"{PACKED}.dtype", "scale", "zero_point")}
    found = {name: value for name, value in loaded.items() if name not in beside and name not in pairs}
    for layer in layers:
        weight, bias = pairs[f"{layer}{PACKED}.{PACKED}"]
        found[f"{layer}weight"] = weight
        if bias is not None:
            found[f"{layer}bias"] = bias.detach()
    return found


def are_tensors(loaded):
    return (
        isinstance(loaded, dict)
        and bool(loaded)
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in loaded.items())
    )


def sentence(text):
    """The first sentence. The rest is mostly PyTorch's advice to load without the safe reader."""
    return text.strip().split("\n")[0].split(". ")[0].rstrip(".")


def unwrap(tensors, sign, wrappers=WRAPPERS):
    """The network's tensors, without the names of wrappers before them. A name that starts with the sign belongs to
    the network; without one, the result is empty. Prints which other tensors are dropped, mostly a head."""
    wrapped = re.compile(rf"((?:(?:{'|'.join(wrappers)})\.)*){re.escape(sign)}")
    prefix = next((match[1] for match in map(wrapped.match, tensors) if match), None)
    if prefix is None:
        return {}
    dropped = [name for name in tensors if not name.startswith(prefix)]
    if dropped:
        print(f"dropped, not part of the network: {', '.join(dropped[:3])}{', ...' if len(dropped) > 3 else ''}")
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def check_keys(found, wanted, complaint):
    """Ends the program with the complaint if tensors are missing, unexpected or of another shape. found: tensors by
    name. wanted: shapes by name."""
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


def write_json(value, path):
    text = json.dumps(value, indent=2) + "\n"
    replace_atomically(path, lambda temporary: Path(temporary).write_text(text))


def save_module(module, path, record, record_path):
    """Scripts and saves the module, each file whole or not at all; not frozen, as a frozen module no longer casts. The
    record holds the weights' sha256 and is written first, so it identifies the rest of an interrupted export.
    """

    def save(temporary):
        torchscript.save(torch.jit.script(module.eval().requires_grad_(False)), temporary)
        record["sha256"] = sha256_of(temporary)
        write_json(record, record_path)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated, but LibTorch reads it
        replace_atomically(path, save)


def load_into(module, tensors, complaint):
    """The module with a checkpoint's weights in float32. Counters of batches may be missing; no network needs
    them."""
    wanted = {
        name: tensor.shape for name, tensor in module.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    found = {
        name: tensor.dequantize() if tensor.is_quantized else tensor.float()
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
    check_keys(found, wanted, complaint)
    module.load_state_dict(found, strict=False)
    return module.eval()


def plain_name(text):
    if not re.fullmatch(r"\w[\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name: letters, digits, dots, dashes; -o gives the folder")
    return text


def arguments(doc, default_name=None):
    """default_name: None if it depends on the file."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "--name",
        type=plain_name,
        default=default_name,
        help=f"of the card and the weights (default: {default_name or 'depends on the file'})",
    )
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "models", metavar="FOLDER", help="default: models")
    return parser


def is_record(path, key):
    """Is it the record of an earlier export, with the key in its "source"?"""
    try:
        return key in json.loads(path.read_text())["source"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def refuse_to_replace(outputs, inputs, is_own):
    """Ends the program if an output would replace an input or a file of somebody else."""
    try:
        check_outputs(outputs, inputs, is_own)
    except WouldReplace as reason:
        fail(reason, USAGE_ERROR)


def paths_of(options):
    """The files that an export writes: card, weights, golden embedding."""
    folder, name = options.output, options.name
    return folder / f"{name}.json", folder / f"{name}.pt", folder / "golden" / f"{name}.npy"


def write(module, output, card, options, network):
    card_path, weights, golden_path = paths_of(options)
    golden_path.parent.mkdir(parents=True, exist_ok=True)
    made = {"file": f"golden/{options.name}.npy", "made_with": f"PyTorch {torch.__version__}, eager, CPU"}
    card |= {"file": f"./{options.name}.pt", "golden": made}
    card["source"] = {
        **card.get("source", {}),
        "exported_from": options.checkpoint.name,
        "exported_sha256": sha256_of(options.checkpoint),
    }
    if network:
        card["source"]["network"] = network
    save_module(module, weights, card, card_path)
    replace_atomically(golden_path, lambda path: save_npy(path, output))


def card_like(name, **facts):
    """A card for another member of a family: the common keys of the committed card of this name, and the facts."""
    card = json.loads((ROOT / "configs/extractors" / f"{name}.json").read_text())
    for own in ("published", "source", "dimension", "notes"):
        card.pop(own, None)
    return card | facts


def finish(module, family_card, options, network=None):
    """Writes NAME.pt, its golden embedding and NAME.json: the committed card of that name, or else family_card (a name
    or a card), with the facts of this export. In models/ this completes the committed card; `-e FOLDER/NAME.json`
    works for any folder. network: which of the family it is."""
    outputs = paths_of(options)
    refuse_to_replace(outputs, [options.checkpoint], is_own=is_record(outputs[0], "exported_sha256"))
    cards = ROOT / "configs/extractors"
    committed = cards / f"{options.name}.json"
    known = committed if committed.exists() else cards / f"{family_card}.json" if isinstance(family_card, str) else None
    card = json.loads(known.read_text()) if known else dict(family_card)
    output = golden.golden_output(module, options.name, card)
    if output.size != card.setdefault("dimension", output.size):  # not every card has it
        fail(f"{options.checkpoint} gives {output.size} numbers a face; the card {known.name} says {card['dimension']}")
    if not np.isfinite(output).all():
        fail(f"{options.checkpoint} gives no finite numbers for a face: its weights are damaged")
    try:
        write(module, output, card, options, network)
    except OSError as error:
        fail(f"cannot write to {options.output}: {error.strerror or error}", DISK_ERROR)
    parameters = sum(p.numel() for p in module.parameters())
    which = f"{network}, " if network else ""
    print(
        f"{options.checkpoint.name}: {which}{parameters:,} parameters, {output.size}-d; "
        f"wrote {outputs[1]}, sha256 {card['sha256'][:16]}"
    )


def size_in_words(height, width):
    return str(width) if height == width else f"{height} x {width}"


def suggest_check(options):
    """The last line of an export that assumed the network's preprocessing."""
    print(
        "the network's preprocessing was assumed; to check it with labelled photos: "
        f"facepoison check {paths_of(options)[0]} --photos DATASET"
    )


def save_npy(path, output):
    with open(path, "wb") as file:  # given a name, NumPy would add an extension
        np.save(file, output)
