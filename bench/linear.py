#!/usr/bin/env python3
"""`linear` for every protected person, warm-started in C++, beside scikit-learn refitted for each, in one run.

    .venv/bin/python bench/linear.py [--extractor mobilefacenet] [--people 20]

Both get the embeddings of the rendered gallery (100 people), and for each of the first people that person's training
rows replaced (by those of the person's mirrored embedding, −x: what stands there does not matter to the time).
scikit-learn's tol is the loosest power of ten at which all its probabilities are within 1e-3 of where it converges: its
own 1e-4 is off by .08 to .4.
"""
import argparse
import csv
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extractor", default="mobilefacenet")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--tol", type=float, default=1e-7, help="scikit-learn's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        binary = ROOT / "build/release"
        for command in (
            ["prepare", ROOT / "data/rendered", "-o", "data"],
            ["embed", "data", "-e", options.extractor, "-o", "x.npy"],
        ):
            subprocess.run(
                [binary / "facepoison", *command, "--store", "store"], cwd=folder, check=True, capture_output=True
            )
        features = np.load(Path(folder) / "x.npy")
        with open(Path(folder) / "x.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        ours = subprocess.run(
            [binary / "bench_linear", "x.npy", str(options.people)],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    found = np.array([line.split(",") for line in ours.splitlines()[1:]], float)  # person, probe, distance
    seconds = float(ours.splitlines()[0])
    people = np.array([row["person"] for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    labels = np.unique(people, return_inverse=True)[1]
    worst, start = 0.0, time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for person in range(options.people):
            gallery = features[train].astype(float)
            gallery[labels[train] == person] *= -1
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100000, tol=options.tol))
            model.fit(gallery, labels[train])
            likely = model.predict_proba(features[~train].astype(float)).max(1)
            worst = max(worst, np.abs(1 - found[found[:, 0] == person, 2] - likely).max())
    theirs = time.perf_counter() - start
    print(
        f"{options.extractor}: {train.sum()} rows × {features.shape[1]}, {labels.max() + 1} people, "
        f"{options.people} protected, one at a time"
    )
    print(
        f"linear {seconds:.2f} s, scikit-learn {theirs:.2f} s: {theirs / seconds:.1f} times as fast; "
        f"probabilities differ by {worst:.1e} at most"
    )


if __name__ == "__main__":
    main()
