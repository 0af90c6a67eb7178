#!/usr/bin/env python3
"""Prints a Markdown table of the recognisers' speed (images per second) here and in other runtimes.

    .venv/bin/python bench/compare.py [--batch 16] [--threads 2] [--rounds 5] [NAME ...]

Columns: the same network in eager PyTorch, in onnxruntime if the package holds an ONNX file (from
.venv-golden, see scripts/make_golden.py), and `facepoison embed`'s rate from build/release/bench_embed.
The contenders take turns and the table shows medians, so a slow moment affects all equally.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
RECOGNISERS = ["faceplugin", "mobilefacenet", "dlib", "hse-faceres", "mobileface"]
ONNX_FILES = {"faceplugin": "model/fr_feature.onnx"}
GOLDEN_PYTHON = ROOT / ".venv-golden" / "bin" / "python"
NO_GOLDEN = "onnxruntime left out: there is no .venv-golden (see scripts/make_golden.py)"
CPP_BENCHMARK = ROOT / "build" / "release" / "bench_embed"


def rate(run, batch, seconds=0.5):
    """Images per second of run(), repeated for `seconds`."""
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        run()
        count += 1
    return count * batch / elapsed


def eager(name, card, members, batch):
    import convert
    import torch

    module = convert.build(name, members)
    side = card["input"]["side"]
    x = torch.rand(batch, 3, side, side)
    y = x.to(memory_format=torch.channels_last)
    z = convert.build(name, members).to(memory_format=torch.channels_last)

    def measured(network, pictures):
        def run():
            with torch.inference_mode():
                network(pictures)

        run()  # the first call sets things up
        return lambda: {None: rate(run, batch)}

    return {"eager PyTorch": measured(module, x), "eager, channels_last": measured(z, y)}


def free_batch(data, path):
    """Writes the ONNX file with a free batch; the original has a batch of one."""
    import onnx

    model = onnx.load_from_string(data)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            dimension = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, onnx.TensorProto.INT64, [2], [-1, dimension]))
    onnx.save(model, path)


def onnxruntime_worker(path, side, batch, threads):
    """Runs inside .venv-golden: measures once for every line on standard input."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # For fairness: our conversion rounds faceplugin's denormal weights to zero too.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).random((batch, 3, side, side), np.float32)
    session.run(None, {session.get_inputs()[0].name: x})
    for _ in sys.stdin:
        print(rate(lambda: session.run(None, {session.get_inputs()[0].name: x}), batch), flush=True)


def worker(path, side, batch, threads):
    """A contender: an ONNX file in onnxruntime."""
    arguments = ["--worker", path, str(side), "--batch", str(batch), "--threads", str(threads)]
    process = subprocess.Popen(
        [GOLDEN_PYTHON, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def measured():
        process.stdin.write("\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the onnxruntime worker stopped")
        return {None: float(line)}

    return measured


def onnxruntime_contender(name, card, members, batch, threads, folder):
    if not GOLDEN_PYTHON.exists():
        return {}, NO_GOLDEN
    path = os.path.join(folder, f"{name}.onnx")
    free_batch(members[ONNX_FILES[name]], path)
    return {"onnxruntime": worker(path, card["input"]["side"], batch, threads)}, None


def cpp_rates(name, environment=None):
    """Rates by precision, from one run of the C++ benchmark."""
    command = [CPP_BENCHMARK, "--benchmark_format=json", f"--benchmark_filter=^embed/{name}/"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | (environment or {})
    )
    runs = json.loads(done.stdout)["benchmarks"] if done.stdout.strip() else []
    return {run["name"].split("/")[2]: run["items_per_second"] for run in runs if "items_per_second" in run}


def measure(name, card, members, args, folder, notes):
    """Median rates by column."""
    contenders = eager(name, card, members, args.batch)
    if name in ONNX_FILES:
        more, reason = onnxruntime_contender(name, card, members, args.batch, args.threads, folder)
        contenders |= more
        notes.update([reason] if reason else [])
    if CPP_BENCHMARK.exists():
        contenders["facepoison"] = lambda: cpp_rates(name)
    else:
        notes.add("facepoison left out: build/release/bench_embed is not built")
    return medians(contenders, args.rounds)


def medians(contenders, rounds):
    rates = {}
    for _ in range(rounds):
        for label, run in contenders.items():
            for variant, value in run().items():
                rates.setdefault(f"{label} {variant}" if variant else label, []).append(value)
    return {label: statistics.median(values) for label, values in rates.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=2, metavar=("ONNX", "SIDE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return onnxruntime_worker(args.worker[0], int(args.worker[1]), args.batch, args.threads)

    import torch
    from convert import packages
    from fetch_models import MODELS, card_path

    torch.set_num_threads(args.threads)
    rows, notes = {}, set()
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names or [n for n in RECOGNISERS if (MODELS / f"{n}.json").exists()]:
            card = json.loads(card_path(name).read_text())
            rows[name] = measure(name, card, packages.members(card["source"], MODELS / ".cache"), args, folder, notes)
    print_rows(rows, args, notes)


def print_rows(rows, args, notes):
    import torch

    columns = list(dict.fromkeys(label for row in rows.values() for label in row))
    print(
        f"Images per second, batch {args.batch}, {args.threads} threads, median of {args.rounds}, "
        f"torch {torch.__version__}\n"
    )
    print(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name, row in rows.items():
        print(
            f"| {name} | {' | '.join(f'{row[c]:.{1 if row[c] < 100 else 0}f}' if c in row else '–' for c in columns)} |"
        )
    for note in sorted(notes):
        print(f"\n{note}")


if __name__ == "__main__":
    main()
