#!/usr/bin/env python3
"""Compares `facepoison embed` with a script of OpenCV and onnxruntime that does the same. Both are whole processes:
start, network, canvases decoded, warped to the network's crop, embedded, a matrix written. In turns; medians.

    .venv/bin/pip install opencv-python-headless onnxruntime
    .venv/bin/python bench/embed.py DATASET [--name faceplugin] [--batch 1 16] [--threads 2] [--rounds 3]

DATASET is a folder from `facepoison prepare`. Also prints, for both, the share of the split's new photos with a nearest
gallery photo of the same person, and how many photos have another nearest person.
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

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
BINARY = ROOT / "build/release/facepoison"
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def photos_of(dataset):
    lines = [json.loads(line) for line in open(Path(dataset) / "manifest.jsonl")]
    return [line for line in lines if "landmarks" in line]


def similarity(points):
    """The similarity from a canvas to the crop, by least squares: 2×3."""
    ones, zeros = np.ones(5), np.zeros(5)
    x, y = np.array(points).T
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, tx, ty = np.linalg.lstsq(rows, TEMPLATE.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, tx], [b, a, ty]])


def embed_by_onnxruntime(dataset, network, contract, batch, threads, target):
    import cv2
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # For fairness: our conversion rounds faceplugin's denormal weights to zero too.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    mean, std = contract["mean"][0], contract["std"][0]

    def crop(photo):
        canvas = cv2.imread(str(Path(dataset) / photo["path"]))
        return cv2.warpAffine(canvas, similarity(photo["landmarks"]), (112, 112))

    photos, rows = photos_of(dataset), []
    for first in range(0, len(photos), batch):
        crops = [crop(photo) for photo in photos[first : first + batch]]
        pictures = cv2.dnn.blobFromImages(crops, 1 / std, None, (mean, mean, mean), contract["channels"] == "rgb")
        rows.append(session.run(None, {session.get_inputs()[0].name: pictures})[0])
    np.save(target, np.concatenate(rows))


def nearest_people(matrix, photos):
    """For each new photo, the person of the nearest gallery photo."""
    train = np.array([photo["split"] == "train" for photo in photos])
    people = np.array([photo["person"] for photo in photos])
    gallery, probes = matrix[train].astype(np.float64), matrix[~train].astype(np.float64)
    distances = (gallery**2).sum(1)[None] - 2 * probes @ gallery.T
    return people[train][distances.argmin(1)], people[~train]


def timed(command, environment):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--name", default="faceplugin")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=2, metavar=("ONNX", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    card = json.loads((ROOT / f"configs/extractors/{options.name}.json").read_text())
    if options.worker:
        network, target = options.worker
        return embed_by_onnxruntime(options.dataset, network, card["input"], options.batch[0], options.threads, target)

    from compare import ONNX_FILES, free_batch
    from convert import packages
    from fetch_models import MODELS

    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        members = packages.members(card["source"], MODELS / ".cache")
        free_batch(members[ONNX_FILES[options.name]], folder / "network.onnx")

        def ours(precision):
            store = tempfile.mkdtemp(dir=folder)
            command = [BINARY, "--quiet", "embed", options.dataset, "-e", options.name, "--precision", precision]
            return timed([*command, "--store", store, "-o", folder / f"{precision}.npy"], environment)

        def theirs(batch):
            command = [sys.executable, __file__, options.dataset, "--name", options.name, "--batch", str(batch)]
            command += ["--threads", str(options.threads), "--worker"]
            return timed([*command, folder / "network.onnx", folder / f"batch {batch}.npy"], environment)

        contenders = {f"onnxruntime, batch {batch}": lambda batch=batch: theirs(batch) for batch in options.batch}
        contenders |= {f"facepoison {precision}": lambda precision=precision: ours(precision)
                       for precision in ("fp32", "bf16")}  # fmt: skip
        seconds = {label: [] for label in contenders}
        for _ in range(options.rounds):
            for label, run in contenders.items():
                seconds[label].append(run())
        medians = {label: statistics.median(values) for label, values in seconds.items()}
        for label, value in medians.items():
            print(f"{label}: {value:.2f} s")
        for batch in options.batch:
            for precision in ("fp32", "bf16"):
                ratio = medians[f"onnxruntime, batch {batch}"] / medians[f"facepoison {precision}"]
                print(f"facepoison {precision} is {ratio:.2f} times as fast as onnxruntime with batch {batch}")
        photos = photos_of(options.dataset)
        reference, truth = nearest_people(np.load(folder / f"batch {options.batch[-1]}.npy"), photos)
        for precision in ("fp32", "bf16"):
            found, _ = nearest_people(np.load(folder / f"{precision}.npy"), photos)
            print(
                f"{precision}: of {len(truth)} new photos {np.mean(found == truth):.4f} right, onnxruntime "
                f"{np.mean(reference == truth):.4f}; {int((found != reference).sum())} have another nearest person"
            )


if __name__ == "__main__":
    main()
