#!/usr/bin/env python3
"""Compares `facepoison identify` by one nearest neighbour, the whole process, with the bare product of the two matrices
(by the same LibTorch, in memory) and scikit-learn's 1-NN (in memory). In turns; medians. Also gives seconds of
processor time, which other processes on the machine change less.

    .venv/bin/python bench/identify.py [--gallery 50000] [--probes 5000] [--dimension 512] [--threads 2] [--rounds 5]

People are random centres; each row is as far from its centre as centres are from the origin. Prints how many labels
differ from scikit-learn's.
"""
import argparse
import csv
import io
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "build/release/facepoison"


def write_side(folder, name, centres, rows, random):
    """Writes NAME.npy and NAME.csv; returns the matrix and the labels."""
    labels = random.integers(0, len(centres), rows)
    matrix = centres[labels] + random.standard_normal((rows, centres.shape[1]), dtype=np.float32)
    np.save(folder / f"{name}.npy", matrix)
    with open(folder / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "person", "split"])
        writer.writerows([f"{name}/{i}.jpg", f"person-{label}", ""] for i, label in enumerate(labels))
    return matrix, labels


def processor_time():
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def timed(work):
    """Seconds, seconds of processor time, and what `work` returns."""
    start, used = time.perf_counter(), processor_time()
    found = work()
    return time.perf_counter() - start, processor_time() - used, found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=int, default=50000)
    parser.add_argument("--probes", type=int, default=5000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    random = np.random.default_rng(1)
    centres = random.standard_normal((options.people, options.dimension), dtype=np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gallery, labels = write_side(folder, "gallery", centres, options.gallery, random)
        probes, _ = write_side(folder, "probes", centres, options.probes, random)
        known, sought = torch.from_numpy(gallery), torch.from_numpy(probes)
        out = torch.empty(options.probes, options.gallery)
        command = [BINARY, "identify", folder / "gallery.npy", folder / "probes.npy"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
        neighbour = KNeighborsClassifier(1, algorithm="brute").fit(gallery, labels)
        contenders = {
            "product": lambda: torch.mm(sought, known.t(), out=out),
            "facepoison": lambda: subprocess.run(command, check=True, capture_output=True, text=True, env=environment),
            "scikit-learn": lambda: neighbour.predict(probes),
        }
        times = {contender: [] for contender in contenders}
        with threadpool_limits(options.threads):
            contenders["product"]()  # the first call touches new memory
            for _ in range(options.rounds):
                for contender, work in contenders.items():
                    *seconds, found = timed(work)
                    times[contender].append(seconds)
                    if contender == "facepoison":
                        rows = csv.DictReader(io.StringIO(found.stdout))
                        ours = [int(row["predicted"].split("-")[1]) for row in rows]
                    elif contender == "scikit-learn":
                        theirs = found
    print(
        f"{options.probes} probes in {options.gallery} rows × {options.dimension}, {options.threads} threads, "
        f"medians of {options.rounds}"
    )
    bare = [statistics.median(column) for column in zip(*times["product"])]
    for contender, rows in times.items():
        wall, used = (statistics.median(column) for column in zip(*rows))
        print(
            f"{contender:13} {wall:6.2f} s, {wall / bare[0]:5.2f} times the product; "
            f"{used:6.2f} s of processor time, {used / bare[1]:5.2f} times"
        )
    print(f"{(np.array(ours) != theirs).sum()} of {options.probes} labels differ")


if __name__ == "__main__":
    main()
