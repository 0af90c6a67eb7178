#!/usr/bin/env python3
"""Prints a Markdown table: how far attacks on several sets of surrogates transfer to recognisers outside the sets.

    .venv/bin/python bench/surrogates.py PHOTOS [--sets dlib,faceplugin dlib,faceplugin,small-arcface] [--people 8]

PHOTOS is a folder of rendered training people (scripts/render_faces/run.sh --group training --setting training), so
that the people of data/rendered are kept for measuring. The first --people of them are protected, one at a time, with
all their training photos perturbed; the others are the gallery. For each judge: the mean cosine of clean to perturbed
training photos, and the share of clean test photos that 1-NN on the recogniser's embeddings gets wrong.
Seconds: the whole `perturb`, per photo.
"""
import argparse
import csv
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

import published


def embedded(program, dataset, extractor):
    """The data set's photos: their people, whether they are test photos, their embeddings."""
    program("embed", dataset, "-e", extractor, "-o", "embeddings.npy")
    with open(program.folder / "embeddings.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    people, test = (np.array(column) for column in zip(*((row["person"], row["split"] == "test") for row in rows)))
    return people, test, np.load(program.folder / "embeddings.npy").astype(float)


def cosine(clean, perturbed):
    return ((clean * perturbed).sum(1) / np.linalg.norm(clean, axis=1) / np.linalg.norm(perturbed, axis=1)).mean()


def protection(people, test, clean, perturbed, protected):
    """The share of misclassified clean test photos, as a mean over protected people."""
    errors = []
    for person in protected:
        own = people == person
        gallery = np.where(own[:, None], perturbed, clean)[~test]
        probes = clean[own & test]
        nearest = np.linalg.norm(probes[:, None] - gallery[None], axis=2).argmin(1)
        errors.append((people[~test][nearest] != person).mean())
    return np.mean(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--sets", nargs="+", default=["dlib,faceplugin"], metavar="NAME,NAME")
    parser.add_argument("--attacks", nargs="+", default=["fawkes-v1.0-high", "lowkey-lite0"], metavar="PRESET")
    parser.add_argument("--judges", nargs="+", default=["mobilefacenet", "hse-faceres"], metavar="EXTRACTOR")
    parser.add_argument("--people", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        program = published.Program(temporary)
        program("prepare", options.photos.resolve(), "-o", "clean")
        clean = {judge: embedded(program, "clean", judge) for judge in options.judges}
        people, test, _ = next(iter(clean.values()))
        protected = sorted(set(people))[: options.people]
        moved = np.isin(people, protected) & ~test
        print(f"{len(protected)} of {len(set(people))} people protected, {moved.sum()} photos perturbed\n")
        judged = [f"{judge}: {what}" for judge in options.judges for what in ("cosine", "protection")]
        columns = ["attack", "surrogates", *judged]
        print(f"| {' | '.join([*columns, 's/photo'])} |\n|{'---|' * (len(columns) + 1)}")
        unmoved = [f"1.00 | {protection(*clean[judge], clean[judge][2], protected):.2f}" for judge in options.judges]
        print(f"| none | | {' | '.join(unmoved)} | |", flush=True)
        for k, (attack, names) in enumerate(product(options.attacks, options.sets)):
            start = time.perf_counter()
            whom = ["--surrogates", names, "--people", ",".join(protected)]
            program("perturb", "clean", "--attack", attack, *whom, "-o", str(k))
            seconds = (time.perf_counter() - start) / moved.sum()
            found = []
            for judge, (people, test, before) in clean.items():
                after = embedded(program, str(k), judge)[2]
                error = protection(people, test, before, after, protected)
                found.append(f"{cosine(before[moved], after[moved]):.2f} | {error:.2f}")
            print(f"| {attack} | {names.replace(',', ', ')} | {' | '.join(found)} | {seconds:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
