#!/usr/bin/env python3
"""Exports an ONNX recogniser: InsightFace's `w600k_r50.onnx` (pack buffalo_l), `glintr100.onnx` (antelopev2), or a
similar one.

    .venv/bin/python scripts/export/onnx.py w600k_r50.onnx --name buffalo-l [-o FOLDER]
    .venv/bin/python scripts/export/onnx.py mine.onnx --name mine [--channels bgr] [--mean 0 --std 255]
        [--template none] [--title ...] ...

If a card of the name is committed, it is completed. Else a whole card is made: the size and the dimension are the
graph's, the rest is InsightFace's (RGB, (x - 127.5) / 127.5, the ArcFace-112 template) unless the options say
otherwise. A graph that begins with arithmetic, such as one converted from MXNet, scales the pixels itself; it gets them
from 0 to 255, or from 0 to 1 if its numbers need that. The batch becomes free.

scripts/convert/onnx_reader.py reads the file and runs no code of it. Before anything is written, the network's
embeddings of 20 rendered faces are compared with onnxruntime's: the cosine must be at least .999999. An int8 graph
becomes a float32 network with slightly different embeddings; the card says how different.
"""
import json
import operator
import sys
from pathlib import Path

if __name__ == "__main__":  # a program's folder comes first, where this file would be taken for the package onnx
    sys.path[0] = str(Path(__file__).resolve().parents[1])
import onnx  # noqa: E402
from convert import golden, onnx_reader  # noqa: E402
from export import runtime  # noqa: E402
from export.base import (  # noqa: E402
    ONNX,
    ROOT,
    arguments,
    check_file,
    dimension_of,
    fail,
    finish,
    sentence,
    size_in_words,
    suggest_check,
)

PIXELS = (0.0, 255.0)
DEQUANTISED = "The int8 graph's layers compute in float32: least cosine to the graph on {} rendered faces {:.4f}."
SCALING = {"Sub": operator.sub, "Add": operator.add, "Mul": operator.mul, "Div": operator.truediv}
PASSING = ("Transpose", "Cast", "Identity")  # leave the pixels as bright as they are


def load(path):
    check_file(path, "network", ONNX)
    try:
        model = onnx.load_from_string(path.read_bytes())
    except Exception:  # a truncated file can raise anything
        model = None
    if model is None or not model.graph.node:
        fail(f"{path} is not an ONNX file, or is truncated")
    load_data(model, path)
    return model


def load_data(model, path):
    """Loads weights that are in a second file, in the graph's folder."""
    outside = [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if not outside:
        return
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:
        names = sorted({entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"})
        fail(
            f"{path} keeps its weights in {', '.join(names[:3]) or 'another file'}, which must be complete "
            f"and in the same folder: {sentence(str(error))}"
        )


def input_of(graph, path):
    """The graph's only input that is not a weight."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        fail(
            f"{path} is not a recogniser: "
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs, expected one of each"
        )
    return inputs[0]


def size_of(source, side, path):
    """Height and width of the pictures that the network takes, and whether the channels are the last axis. side: used
    if the graph leaves the size open."""
    axes = source.type.tensor_type.shape.dim
    shape = [axis.dim_value for axis in axes]
    last = len(shape) == 4 and shape[1] != 3 and shape[3] == 3
    picture = axes[1:3] if last else axes[2:]
    if len(shape) == 4 and 3 in (shape[1], shape[3]) and side and not any(axis.dim_value for axis in picture):
        for axis in picture:
            axis.dim_value = side
    height, width = [axis.dim_value for axis in picture] if len(shape) == 4 else (0, 0)
    if 3 not in shape[1::2] or not height or not width:
        found = " x ".join(str(size or "free") for size in shape)
        fail(
            f"{path} takes {found}, expected pictures: free x 3 x HEIGHT x WIDTH, or free x HEIGHT x WIDTH x 3, "
            "or, with --side, a free size"
        )
    return height, width, last


def scaled_pixels(graph, source):
    """The values that the graph's own arithmetic gives for the pixels 0 and 255, before its first layer; None if there
    is no arithmetic."""
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    name, ends = source.name, None
    for node in graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = onnx_reader.constant(*onnx_reader.attributes_of(node).values())
        elif node.op_type in SCALING and all(part in known for part in node.input):
            known[node.output[0]] = SCALING[node.op_type](*[known[part] for part in node.input])
        elif name in node.input and node.op_type in PASSING:
            name = node.output[0]
        elif name in node.input and node.op_type in SCALING:
            numbers = [known.get(part) for part in node.input if part != name]
            if len(numbers) != 1 or numbers[0] is None:
                break
            swapped = node.input[0] != name
            ends = [SCALING[node.op_type](*((numbers[0], x) if swapped else (x, numbers[0]))) for x in ends or PIXELS]
            name = node.output[0]
    return ends


def pixel_scale(ends):
    """1 or 255: the brightest pixel that the graph's own arithmetic expects. Arithmetic for pixels up to 1 turns 255
    into hundreds."""
    return 1.0 if ends and max(abs(end).max() for end in ends) > 300 else 255.0


def feeds_pixels(recipe, ends):
    """Whether a card leaves the scaling to the graph."""
    return recipe["scale"] == pixel_scale(ends) and not any(recipe["mean"]) and all(n == 1 for n in recipe["std"])


def build(model, height, width, path):
    """The module, its dimension, and the module with the graph's rounding if the graph quantises, else None."""
    try:
        module, quantised = onnx_reader.read_model(model)
        rounding = onnx_reader.read_model(model, rounding=True)[0] if quantised else None
        return module, dimension_of(module, height, width, path), rounding
    except NotImplementedError as error:
        fail(f"{path}: scripts/convert/onnx_reader.py cannot read: {error}")
    except Exception as error:
        fail(f"{path} is not a readable network: {type(error).__name__}: {sentence(str(error))}")


def three(numbers):
    return numbers * 3 if len(numbers) == 1 else numbers


def new_card(options, height, width, dimension, ends):
    mean, std = ([0.0], [1.0]) if ends else ([127.5], [127.5])
    recipe = {
        **({"side": height} if height == width else {"width": width, "height": height}),
        "template": options.template or "arcface-112",
        "channels": options.channels or "rgb",
        "scale": 255.0 if options.mean or options.std else pixel_scale(ends),
        "mean": three(options.mean or mean),
        "std": three(options.std or std),
        "interpolation": "bilinear",
        "antialias": False,
        "resize": "squash",
    }
    return {
        "title": options.title or options.name,
        "released": options.released or "not known",
        "licence": options.licence or "not known",
        "file": f"{options.name}.pt",
        "input": recipe,
        "method": "forward",
        "flip_averaging": False,
        "dimension": dimension,
        "notes": "Made of an ONNX file. To check this preprocessing: facepoison check CARD --photos DATASET, or "
        "facepoison check CARD --image PHOTO --reference X.npy.",
    }


def parsed(given):
    parser = arguments(__doc__)
    described = parser.add_argument_group("for a name without a committed card")
    described.add_argument("--side", type=int, help="if the graph leaves it open")
    described.add_argument("--channels", choices=["rgb", "bgr"], help="default: rgb")
    described.add_argument(
        "--mean", type=float, nargs="+", help="one number or three, for pixels from 0 to 255; default: 127.5"
    )
    described.add_argument("--std", type=float, nargs="+", help="likewise; default: 127.5")
    described.add_argument("--template", choices=["arcface-112", "dlib-150", "none"], help="default: arcface-112")
    described.add_argument("--title", help="default: the name")
    described.add_argument("--released", metavar="YEAR", help="default: not known")
    described.add_argument("--licence", help="default: not known")
    options = parser.parse_args(given)
    if any(numbers and len(numbers) not in (1, 3) for numbers in (options.mean, options.std)) or 0 in (
        options.std or []
    ):
        parser.error("--mean and --std take one number or three; --std must not be 0")
    options.name = options.name or options.checkpoint.stem
    options.committed = ROOT / "configs/extractors" / f"{options.name}.json"
    said = [group.option_strings[0] for group in described._group_actions if getattr(options, group.dest) is not None]
    if said and options.committed.exists():
        parser.error(
            f"the card {options.committed.name} is committed, "
            f"and {', '.join(said)} would contradict it; give another --name"
        )
    return options


def main(given=None):
    options = parsed(given)
    path = options.checkpoint
    model = load(path)
    source = input_of(model.graph, path)
    committed = json.loads(options.committed.read_text()) if options.committed.exists() else None
    height, width, last = size_of(source, committed["input"].get("side") if committed else options.side, path)
    ends = scaled_pixels(model.graph, source)
    scaled_twice = committed and ends and not feeds_pixels(committed["input"], ends)
    if committed and (scaled_twice or (width, height) != golden.size(committed["input"])):
        found = "scales its pixels itself" if scaled_twice else f"takes pictures of {size_in_words(height, width)}"
        fail(
            f"{path} {found}, "
            f"which is not what the card {options.committed.name} says; another --name gets a card of its own"
        )
    module, dimension, rounding = build(model, height, width, path)
    card = committed or new_card(options, height, width, dimension, ends)
    cosine = runtime.check(module, rounding, model, card["input"], last, path)
    print(f"{path.name}: least cosine to onnxruntime on {runtime.FACES} rendered faces {cosine:.7f}")
    if rounding:
        card["notes"] = f"{card.get('notes', '')} {DEQUANTISED.format(runtime.FACES, cosine)}".strip()
    convolutions = sum("Conv" in node.op_type for node in model.graph.node)
    network = f"ONNX, {convolutions} convolutions, {height} x {width}{', scales pixels itself' if ends else ''}"
    finish(module, card, options, network)
    if not committed:
        suggest_check(options)


if __name__ == "__main__":
    main()
