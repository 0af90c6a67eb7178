#!/usr/bin/env python3
"""Prints a Markdown table that compares the published tools' pictures with our attacks' pictures of the same photo.

    .venv/bin/python bench/published.py FOLDER [--attacks fawkes-v0.3-high,...] [--extractors dlib,...]

FOLDER holds the clean photos and the published files of PICTURES, from two public repositories: ftramer/FaceCure
(adam*) and mashalbhatti/AI_and_Cybersecurity_Project_FaceCure (Adam_Sandler*). They show a real person: they are
measured, never copied into the project. Missing files are left out.

Ours start from the same photo, squashed as in the paper's geometry (bicubic, PIL's), and run through `prepare
--no-detect`, `perturb` and `embed`. If a file has the photo's own frame, only the box that the tool changed counts, in
both. Fawkes v1.0 stretches grey levels over 0..255 when it resizes (Keras's array_to_img): its file is compared with
the stretched photo. Periods: the shares of the difference's energy at more than 14 pixels a period and at less than 4;
the mean counts in neither. Cosines: perturbed to clean (not stretched), no alignment.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/reference"))
import attacks  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
CLEAN = {1: "adam.jpg", 2: "Adam_Sandler_original.jpeg"}
# For each tool: the side of its crop, and its file for each photo.
PICTURES = {
    "fawkes-v0.3": (224, {2: "Adam_Sandler_fawkes3.png"}),
    "fawkes-v1.0": (112, {1: "adam_fawkes.png", 2: "Adam_Sandler_fawkes1.png"}),
    "lowkey": (112, {1: "adam_lowkey.png", 2: "Adam_Sandler_lowkey.png"}),
}
MEASURES = ["L∞", "PSNR", "DSSIM", "> 14 px", "< 4 px"]
ATTACKS = "fawkes-v0.3-high,fawkes-v1.0-high,lowkey-dssim,lowkey-lite0"


# ---- reading

def read(path):
    """H×W×3 uint8."""
    return np.asarray(Image.open(path).convert("RGB"))


def squashed(picture, side):
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.BICUBIC))


def stretched(picture):
    """The picture with its grey levels stretched over 0..255; not rounded."""
    lowest, highest = int(picture.min()), int(picture.max())
    return (picture - float(lowest)) * 255 / (highest - lowest)


def changed(clean, picture):
    """The box that holds all differences of two pictures, as slices of rows and columns."""
    differs = (clean != picture).any(2)
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def pairs_of(tool, folder):
    """(number, clean, published) for each present file of the tool, side×side×3."""
    side, files = PICTURES[tool]
    for number, file in files.items():
        if not (folder / file).exists() or not (folder / CLEAN[number]).exists():
            continue
        clean, picture = read(folder / CLEAN[number]), read(folder / file)
        if clean.shape == picture.shape:
            box = changed(clean, picture)
            clean, picture = clean[box], picture[box]
        yield number, squashed(clean, side), squashed(picture, side)


# ---- measuring

def as_tensor(picture):
    return torch.from_numpy(picture / 255).permute(2, 0, 1)[None]


def periods(difference):
    """Shares of the energy at periods over 14 pixels and under 4."""
    energy = (np.abs(np.fft.fft2(difference, axes=(0, 1))) ** 2).sum(2)
    energy[0, 0] = 0
    height, width = difference.shape[:2]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    return energy[frequency < 1 / 14].sum() / energy.sum(), energy[frequency > 1 / 4].sum() / energy.sum()


def measures(clean, picture):
    """L∞ in grey levels, PSNR in dB, DSSIM, and the two shares of periods()."""
    difference = picture.astype(np.float64) - clean
    psnr = 10 * np.log10(255**2 / (difference**2).mean())
    dssim = attacks.dssim(as_tensor(clean), as_tensor(picture)).item()
    return [np.abs(difference).max(), psnr, dssim, *periods(difference)]


def written(values):
    largest, psnr, dssim, long, short = values
    return [f"{largest:.0f}", f"{psnr:.1f}", f"{dssim:.4f}", f"{long:.2f}", f"{short:.2f}"]


# ---- the program's part

class Program:
    """Runs facepoison in a separate folder."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __call__(self, *arguments):
        command = [BINARY, *map(str, arguments), "--store", "store"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")

    def perturbed(self, attack, side, cleans, surrogates):
        """The attack's output for each clean picture (side×side), in order."""
        photos = f"photos-{attack}"
        for k, clean in enumerate(cleans):
            (self.folder / photos / str(k)).mkdir(parents=True)
            Image.fromarray(clean).save(self.folder / photos / str(k) / "photo.png")
        self("prepare", photos, "-o", f"{photos}-data", "--no-detect", "--canvas", side)
        changes = ["--surrogates", surrogates] if surrogates else []
        if attack.startswith("fawkes-v0.3"):  # aims at another person
            people = ["--people", "gallery-00*"]
            self("prepare", ROOT / "data/rendered", "-o", "targets", "--no-detect", "--canvas", side, *people)
            changes += ["--set", f"targets={self.folder / 'targets'}"]
        self("perturb", f"{photos}-data", "--attack", attack, "--photos", "all", *changes, "-o", attack)
        files = [next((self.folder / attack / "canvas" / str(k)).iterdir()) for k in range(len(cleans))]
        return [read(file) for file in files]

    def embeddings(self, extractor, pictures):
        """Unit vectors by name, for pictures by name."""
        folder = self.folder / "crops" / "all"
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            Image.fromarray(picture).save(folder / f"{name}.png")
        self("embed", "crops", "-e", extractor, "-o", "embeddings.npy")
        rows = np.load(self.folder / "embeddings.npy").astype(np.float64)
        with open(self.folder / "embeddings.csv", newline="") as file:
            names = [Path(row["id"]).stem for row in csv.DictReader(file)]
        return {name: row / np.linalg.norm(row) for name, row in zip(names, rows)}


def present_extractors():
    command = [BINARY, "list", "extractors", "--format", "json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [row["name"] for row in json.loads(listed.stdout)["rows"] if row["present"] == "yes"]


# ---- the table

@dataclass
class Row:
    tool: str
    photo: int
    what: str  # "published", or our attack's name
    clean: np.ndarray
    picture: np.ndarray

    def values(self):
        stretch = self.what == "published" and self.tool == "fawkes-v1.0"
        return measures(stretched(self.clean) if stretch else self.clean, self.picture)


def collect(folder, wanted, surrogates, program):
    rows = []
    for tool, (side, _) in PICTURES.items():
        pairs, ours = list(pairs_of(tool, folder)), [name for name in wanted if name.startswith(tool)]
        cleans = [clean for _, clean, _ in pairs]
        made = {name: program.perturbed(name, side, cleans, surrogates) for name in ours if pairs}
        for k, (number, clean, picture) in enumerate(pairs if ours else []):
            rows.append(Row(tool, number, "published", clean, picture))
            rows += [Row(tool, number, name, clean, made[name][k]) for name in ours]
    return rows


def cosines(rows, extractor, program):
    pictures = {f"{k}-clean": row.clean for k, row in enumerate(rows)}
    pictures |= {f"{k}-perturbed": row.picture for k, row in enumerate(rows)}
    found = program.embeddings(extractor, pictures)
    return [found[f"{k}-clean"] @ found[f"{k}-perturbed"] for k in range(len(rows))]


def print_table(rows, extractors, program):
    columns = ["tool", "photo", "picture", "side", *MEASURES, *extractors]
    found = [cosines(rows, extractor, program) for extractor in extractors]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for k, row in enumerate(rows):
        values = [*written(row.values()), *(f"{column[k]:.2f}" for column in found)]
        print(f"| {row.tool} | {row.photo} | {row.what} | {len(row.clean)} | {' | '.join(values)} |")


def sheet(rows, path, side=224, gain=4):
    """A line for each row: clean, perturbed, difference × gain around grey."""
    lines = []
    for row in rows:
        difference = np.clip(127 + gain * (row.picture.astype(int) - row.clean), 0, 255).astype(np.uint8)
        parts = (row.clean, row.picture, difference)
        tiles = [Image.fromarray(part).resize((side, side), Image.NEAREST) for part in parts]
        lines.append(np.hstack([np.asarray(tile) for tile in tiles]))
    Image.fromarray(np.vstack(lines)).save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--attacks", default=ATTACKS, help="presets; a name starts with the tool to compare with")
    parser.add_argument("--extractors", help="recognisers for the cosines; default: all that are present")
    parser.add_argument("--surrogates", help="instead of the presets' surrogates")
    parser.add_argument("--sheet", type=Path, metavar="SHEET.png", help="clean, perturbed, difference × 4 of each row")
    options = parser.parse_args()
    extractors = options.extractors.split(",") if options.extractors else present_extractors()
    with tempfile.TemporaryDirectory() as temporary:
        program = Program(temporary)
        rows = collect(options.folder.resolve(), options.attacks.split(","), options.surrogates, program)
        if not rows:
            parser.error(f"{options.folder} holds no published file of these tools with its photo: {PICTURES}")
        print_table(rows, extractors, program)
    print("\nL∞ in grey levels, PSNR in dB; after the periods, each recogniser's cosine to the clean photo.")
    if options.sheet:
        sheet(rows, options.sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
