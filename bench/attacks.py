#!/usr/bin/env python3
"""Measures seconds a photo, in one run: the C++ attacks in one batched loop, fp32 and bf16, and tests/reference one
photo at a time.

    .venv/bin/python bench/attacks.py [--surrogates dlib,faceplugin] [--photos 32] [--canvas 112]

The C++ times are of the whole command: start, networks, pictures read, written and audited. The reference's are of
its loop only.
"""
import argparse
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/reference"))
import compare  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surrogates", default="dlib,faceplugin")
    parser.add_argument("--photos", type=int, default=32)
    parser.add_argument("--canvas", type=int, default=112)
    options = parser.parse_args()
    surrogates = options.surrogates.split(",")
    album = compare.Album(options.photos, options.canvas)
    cards = [compare.card_of(name, album.folder) for name in surrogates]
    print(
        f"{options.photos} photos, canvas {options.canvas}, surrogates {options.surrogates}, "
        f"{torch.get_num_threads()} threads\n"
    )
    print("| attack | reference, s/photo | C++ fp32 | ratio | C++ bf16 | ratio |\n|---|---|---|---|---|---|")
    for attack in compare.SETTINGS:
        theirs = compare.reference_side(album, attack, cards).seconds / options.photos
        ours = [
            compare.cpp_side(album, attack, surrogates, precision).seconds / options.photos
            for precision in ("fp32", "bf16")
        ]
        print(
            f"| {attack} | {theirs:.2f} | " + " | ".join(f"{t:.2f} | {theirs / t:.1f}" for t in ours) + " |", flush=True
        )
    album.close()


if __name__ == "__main__":
    main()
