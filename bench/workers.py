#!/usr/bin/env python3
"""Measures the cost of sharing an experiment among workers: one process with all threads, then 1, 2 and 4 workers that
share its threads, each time on a new store. Prints seconds (wall, processor) and the ratio to the one process. The
kinds take turns in one run.

Usage: bench/workers.py [--config FILE] [--rounds 3] [--workers 1,2,4]; run it on a machine that does nothing else.
"""
import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = os.environ.get("FACEPOISON_BINARY", str(ROOT / "build/release/facepoison"))
CONFIG = """{
  "dataset": "%s", "prepare": {"people": ["gallery-00*"], "photos_per_person": 16}, "protected": "all",
  "extractors": ["small-arcface", "small-magface", "small-facenet"],
  "attacks": ["none", {"preset": "pgd", "surrogates": ["small-surrogate"], "steps": 200}], "classifiers": ["nearest"]
}"""


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(commands, threads):
    """Seconds (wall, processor) until all commands, started together, have ended."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    start, used = time.perf_counter(), processor_seconds()
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for command in commands]
    if any(process.wait() for process in running):
        raise SystemExit("a worker failed; run its command to see why")
    return time.perf_counter() - start, processor_seconds() - used


def measure(config, workers, cores, folder):
    """Runs one process if workers is 0, else so many workers, with `cores` threads together if there are enough."""
    store = tempfile.mkdtemp(dir=folder)
    command = [BINARY, "eval", "--config", config, "--store", store]
    subprocess.run([*command, "--worker", "--only", "tried"], check=True, capture_output=True)  # prepares the photos
    if not workers:
        return timed([[*command, "--run-dir", f"{store}-run", "-o", f"{store}-table.md"]], cores)
    parts = [[*command, "--worker", "--start", f"{worker}/{workers}"] for worker in range(workers)]
    return timed(parts, max(1, cores // workers))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default="1,2,4")
    arguments = parser.parse_args()
    cores = os.cpu_count()
    kinds = [0, *map(int, arguments.workers.split(","))]
    found = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        config = arguments.config or f"{folder}/workers.json"
        if not arguments.config:
            Path(config).write_text(CONFIG % (ROOT / "data/rendered"))
        for _ in range(arguments.rounds):
            for kind in kinds:
                found[kind].append(measure(config, kind, cores, folder))
    alone = [statistics.median(times) for times in zip(*found[0])]
    print(f"| {cores} cores | wall, s | ratio | processor, s | ratio |\n|---|---|---|---|---|")
    for kind in kinds:
        wall, used = (statistics.median(times) for times in zip(*found[kind]))
        name = f"{kind} workers" if kind else "one process"
        print(f"| {name} | {wall:.1f} | {wall / alone[0]:.2f} | {used:.1f} | {used / alone[1]:.2f} |")


if __name__ == "__main__":
    main()
