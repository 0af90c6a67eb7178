#!/usr/bin/env python3
"""Images per second of the two most common exported networks, iResNet-100 and CLIP's ViT-B/32, with random weights:
`facepoison embed` and eager PyTorch in fp32 and bf16, and onnxruntime, in turns and in one run.

    .venv/bin/python bench/exported.py [--batch 16] [--threads 2] [--rounds 5]

onnxruntime is from .venv-golden (scripts/make_golden.py says how to make it); bf16 is fast if the processor has it
(AVX512-BF16, AMX).
"""
import argparse
import contextlib
import io
import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "scripts"), str(ROOT / "tests/python/fixtures")]
import compare  # noqa: E402
from export import arcface, clip, iresnet  # noqa: E402
from random_weights import random_tensors, shapes_of  # noqa: E402

NETWORKS = {
    "arcface": ("iResNet-100", arcface, lambda: iresnet.IResNet((3, 13, 30, 3))),
    "clip": ("ViT-B/32", clip, lambda: clip.ImageTower(768, 12, 32, 7, 512, True)),
}


def export(name, home):
    """Exports a random checkpoint into `home`;
    returns the network as the exporter builds it."""
    _, exporter, make = NETWORKS[name]
    module = make()
    tensors = random_tensors(shapes_of(module))
    torch.save(tensors, home / "checkpoint.pth")
    with contextlib.redirect_stdout(io.StringIO()):
        exporter.main([str(home / "checkpoint.pth"), "--name", name, "-o", str(home / "models")])
    module.load_state_dict(tensors)
    return module.eval()


def contenders(name, module, args, home, notes):
    side = {"arcface": 112, "clip": 224}[name]
    x = torch.rand(args.batch, 3, side, side).to(memory_format=torch.channels_last)

    def eager(precision):
        network, pictures = NETWORKS[name][2](), x.to(precision)
        network.load_state_dict(module.state_dict())
        network = network.eval().to(precision).to(memory_format=torch.channels_last)

        def run():
            with torch.inference_mode():
                network(pictures)

        run()  # the first call sets things up
        return lambda: {None: compare.rate(run, args.batch, 2)}

    found = {"eager fp32": eager(torch.float32), "eager bf16": eager(torch.bfloat16)}
    if compare.GOLDEN_PYTHON.exists():
        path = str(home / f"{name}.onnx")
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # this is the old exporter; it needs no other package
            torch.onnx.export(
                module, (x[:2].contiguous(),), path, input_names=["x"], dynamic_axes={"x": {0: "batch"}}, dynamo=False
            )
        found["onnxruntime fp32"] = compare.worker(path, side, args.batch, args.threads)
    else:
        notes.add(compare.NO_GOLDEN)
    found["facepoison"] = lambda: compare.cpp_rates(
        name, {"FACEPOISON_HOME": str(home), "OMP_NUM_THREADS": str(args.threads)}
    )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    notes, rows = set(), {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for part in ("configs", "data"):
            os.symlink(ROOT / part, home / part)
        for name in NETWORKS:
            rows[name] = compare.medians(contenders(name, export(name, home), args, home, notes), args.rounds)
    compare.print_rows({NETWORKS[name][0]: row for name, row in rows.items()}, args, notes)


if __name__ == "__main__":
    main()
