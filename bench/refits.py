#!/usr/bin/env python3
"""Compares, in one run, a classifier's answers for every protected person with scikit-learn refitted for each.

    .venv/bin/python bench/refits.py [--classifier linear|nearest|k-nearest] [--extractor mobilefacenet] [--people 20]
    .venv/bin/python bench/refits.py --classifier nearest --matrix X.npy --people 530 --refits 20

Embeddings are those of the rendered gallery (100 people), or a matrix of `embed` with its .csv. For each of the first
people, that person's training rows x are replaced by −x; the values do not matter for the time. If there are fewer
refits than people, scikit-learn's seconds are scaled up. For `linear`, scikit-learn's tol is the loosest power of ten
at which all its probabilities are within 1e-3 of its converged ones: its default 1e-4 is off by .08 to .4.
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
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "build/release"


def embed(extractor, folder):
    for command in (
        ["prepare", ROOT / "data/rendered", "-o", "data"],
        ["embed", "data", "-e", extractor, "-o", "x.npy"],
    ):
        subprocess.run(
            [BINARY / "facepoison", *command, "--store", "store"], cwd=folder, check=True, capture_output=True
        )
    return Path(folder) / "x.npy"


def answers(classifier, tol, gallery, labels, probes):
    """Predicted label and distance of each probe, from a new fit."""
    if classifier == "linear":
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100000, tol=tol))
        likely = model.fit(gallery.astype(float), labels).predict_proba(probes.astype(float))
        return model.classes_[likely.argmax(1)], 1 - likely.max(1)
    if classifier == "k-nearest":
        return KNeighborsClassifier(5).fit(gallery, labels).predict(probes), None
    distances, rows = KNeighborsClassifier(1).fit(gallery, labels).kneighbors(probes)
    return labels[rows[:, 0]], distances[:, 0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classifier", default="linear", choices=["linear", "nearest", "k-nearest"])
    parser.add_argument("--extractor", default="mobilefacenet")
    parser.add_argument("--matrix", type=Path)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--refits", type=int, help="number of people to refit for (default: all)")
    parser.add_argument("--tol", type=float, default=1e-7, help="scikit-learn's tol, for linear")
    options = parser.parse_args()
    refits = min(options.refits or options.people, options.people)
    with tempfile.TemporaryDirectory() as folder:
        matrix = options.matrix.resolve() if options.matrix else embed(options.extractor, folder)
        features = np.load(matrix)
        with open(matrix.with_suffix(".csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        ours = subprocess.run(
            [BINARY / "bench_swaps", options.classifier, matrix, str(options.people), str(refits)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    seconds, *lines = ours.splitlines()
    found = np.array([line.split(",") for line in lines], float)  # person, probe, label, distance
    people = np.array([row["person"] for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    labels = np.unique(people, return_inverse=True)[1]
    others, worst, start = 0, 0.0, time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for person in range(refits):
            gallery = features[train].copy()
            gallery[labels[train] == person] *= -1
            named, distances = answers(options.classifier, options.tol, gallery, labels[train], features[~train])
            own = found[found[:, 0] == person]
            others += (own[:, 2] != named).sum()
            if distances is not None:
                worst = max(worst, np.abs(own[:, 3] - distances)[own[:, 2] == named].max())
    theirs = (time.perf_counter() - start) / refits * options.people
    print(
        f"{matrix.name if options.matrix else options.extractor}: {train.sum()} rows × {features.shape[1]}, "
        f"{(~train).sum()} probes, {labels.max() + 1} people, {options.people} protected, one at a time"
    )
    print(
        f"{options.classifier} {float(seconds):.2f} s, scikit-learn {theirs:.2f} s ({refits} of {options.people} fits "
        f"measured): {theirs / float(seconds):.1f} times as fast; {others} of {len(found)} labels differ, distances or "
        f"probabilities of the others by {worst:.1e} at most"
    )


if __name__ == "__main__":
    main()
