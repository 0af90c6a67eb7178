#!/usr/bin/env python3
"""An ONNX recogniser: InsightFace's `w600k_r50.onnx` (pack buffalo_l), `glintr100.onnx` (antelopev2), or another of
that kind.

    .venv/bin/python scripts/export/onnx.py w600k_r50.onnx --name buffalo-l [-o FOLDER]
    .venv/bin/python scripts/export/onnx.py mine.onnx --name mine [--channels bgr] [--mean 0 --std 255]
        [--template none] [--title ...] ...

A committed card of the name is completed. For another name a whole card is made: the side and the dimension are the
graph's, the rest is InsightFace's (RGB, (x - 127.5) / 127.5, the ArcFace-112 template) unless the switches say
otherwise; a graph that begins with arithmetic, as those converted from MXNet do, scales the pixels itself and gets them
from 0 to 255, or from 0 to 1 where its numbers are for these. The batch becomes free.

Read by scripts/convert/onnx_reader.py, which runs nothing of the file's.
"""
import json
import operator
import sys
from pathlib import Path

if __name__ == "__main__":  # a program's folder comes first, where this file would be taken for the package onnx
    sys.path[0] = str(Path(__file__).resolve().parents[1])
import onnx  # noqa: E402
from convert import onnx_reader  # noqa: E402
from export.base import ROOT, arguments, check_file, dimension_of, fail, finish, sentence  # noqa: E402

PIXELS = (0.0, 255.0)
SCALING = {"Sub": operator.sub, "Add": operator.add, "Mul": operator.mul, "Div": operator.truediv}


def load(path):
    check_file(path, "network")
    try:
        model = onnx.load_from_string(path.read_bytes())
    except Exception:  # half a file can break its reader anywhere
        model = None
    if model is None or not model.graph.node:
        fail(f"{path} is no ONNX file, or a truncated one")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        fail(f"{path} keeps its weights in another file; onnx.save(onnx.load(...)) makes one of the two")
    return model


def input_of(graph, path):
    """The graph's one input that is no weight."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        fail(
            f"{path} is no recogniser: "
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs, expected one of each"
        )
    return inputs[0]


def side_of(source, side, path):
    """Of the square pictures that the network takes. side: where the graph leaves it open."""
    axes = source.type.tensor_type.shape.dim
    shape = [axis.dim_value for axis in axes]
    if len(shape) == 4 and shape[1] == 3 and not any(shape[2:]) and side:
        axes[2].dim_value = axes[3].dim_value = side
        return side
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not shape[2]:
        found = " x ".join(str(size or "free") for size in shape)
        fail(f"{path} takes {found}, expected pictures: free x 3 x SIDE x SIDE, or, with --side, a free side")
    return shape[2]


def scaled_pixels(graph, source):
    """What the graph itself makes of the pixels 0 and 255 before its first layer; None where it takes them as they
    are."""
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    name, ends = source.name, None
    for node in graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = onnx_reader.constant(onnx_reader.attributes_of(node))
        elif node.op_type in SCALING and all(part in known for part in node.input):
            known[node.output[0]] = SCALING[node.op_type](*[known[part] for part in node.input])
        elif name in node.input and node.op_type in SCALING:
            numbers = [known.get(part) for part in node.input if part != name]
            if len(numbers) != 1 or numbers[0] is None:
                break
            swapped = node.input[0] != name
            ends = [SCALING[node.op_type](*((numbers[0], x) if swapped else (x, numbers[0]))) for x in ends or PIXELS]
            name = node.output[0]
    return ends


def pixel_scale(ends):
    """1 or 255: the brightest pixel that the graph's own arithmetic is for. Made for pixels up to 1, it makes hundreds
    of a 255."""
    return 1.0 if ends and max(abs(end).max() for end in ends) > 300 else 255.0


def build(model, side, path):
    """The module and its dimension."""
    try:
        module = onnx_reader.read_onnx(model.SerializeToString())
        return module, dimension_of(module, side, side, path)
    except NotImplementedError as error:
        fail(f"{path} has what scripts/convert/onnx_reader.py cannot read: {error}")
    except Exception as error:
        fail(f"{path} is no network that can be read: {type(error).__name__}: {sentence(str(error))}")


def three(numbers):
    return numbers * 3 if len(numbers) == 1 else numbers


def new_card(options, side, dimension, ends):
    mean, std = ([0.0], [1.0]) if ends else ([127.5], [127.5])
    recipe = {
        "side": side,
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
        "notes": "Made of an ONNX file. Whether it wants its pictures so, "
        "facepoison check CARD --image PHOTO --reference X.npy tells.",
    }


def parsed(given):
    parser = arguments(__doc__)
    described = parser.add_argument_group("for a name without a committed card")
    described.add_argument("--side", type=int, help="where the graph leaves it open")
    described.add_argument("--channels", choices=["rgb", "bgr"], help="default: rgb")
    described.add_argument(
        "--mean", type=float, nargs="+", help="one number or three, of pixels from 0 to 255; default: 127.5"
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
        parser.error("--mean and --std take one number or three, --std no zero")
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
    card = json.loads(options.committed.read_text()) if options.committed.exists() else None
    side = side_of(source, card["input"]["side"] if card else options.side, path)
    ends = scaled_pixels(model.graph, source)
    if card and (ends or side != card["input"]["side"]):
        found = "scales its pixels itself" if ends else f"takes pictures of {side}"
        fail(
            f"{path} {found}, "
            f"which is not what the card {options.committed.name} says; another --name gets a card of its own"
        )
    module, dimension = build(model, side, path)
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    network = f"ONNX, {convolutions} convolutions, {side} x {side}{', scales pixels itself' if ends else ''}"
    finish(module, card or new_card(options, side, dimension, ends), options, network)


if __name__ == "__main__":
    main()
