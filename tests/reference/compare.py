"""Compares the C++ attacks with the reference on the same pictures, surrogates and settings.

    .venv/bin/python tests/reference/compare.py [--surrogates small-surrogate,small-arcface] [--photos N] [--canvas 80]

prints what test_attacks.py asserts: loss, DSSIM and similarity after 1, 2 and 10 steps, and of the final 8-bit
pictures. The photos are rendered and squashed to the canvas as by `prepare --no-detect`, so that there is no warp
between pixels and network.
"""
import argparse
import csv
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

import attacks
import run as reference

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
STEPS = (1, 2, 10)

# preset, its overrides in C++, and the same for the reference. v1.0's own start, 1e-4, moves an embedding hardly more
# than float32 rounding: the signs of its second step are noise, and two correct programs differ there. From .01 on the
# picture decides the signs.
SETTINGS = {
    "fawkes-v0.3": ("fawkes-v0.3-low", {}, {"threshold": 0.003, "steps": 50, "rate": 35.0}),
    "fawkes-v1.0": (
        "fawkes-v1.0-high",
        {"start_size": 0.01},
        {"threshold": 0.017, "steps": 150, "rate": 15.0, "start": 0.01},
    ),
    "lowkey": ("lowkey", {"start": 0, "distance": "dssim"}, {}),
}


@dataclass
class Side:
    """What one of the two gave: rows by (photo, step) and the written pictures' (DSSIM, similarity) by photo."""

    trace: dict = field(default_factory=dict)
    final: dict = field(default_factory=dict)
    seconds: float = 0.0


class Album:
    """Photos of one rendered person (beyond 20 of others', as one album) and one of another,
    prepared in a temporary folder."""

    def __init__(self, count=5, canvas=80):
        self.folder = Path(tempfile.mkdtemp())
        for name, person, photos in (("photos", "gallery-000", count), ("targets", "gallery-001", 1)):
            (self.folder / name / person).mkdir(parents=True)
            for i in range(photos):
                source = person if i < 20 else f"gallery-{i // 20 + 1:03}"
                shutil.copy(
                    ROOT / f"data/rendered/{source}/{i % 20:02}.jpg", self.folder / name / person / f"{i:02}.jpg"
                )
            self.facepoison("prepare", name, "-o", f"{name}-data", "--no-detect", "--canvas", canvas)
        self.pictures = sorted(self.folder.glob("photos-data/canvas/*/*.png"))
        (self.target,) = self.folder.glob("targets-data/canvas/*/*.png")

    def facepoison(self, *arguments):
        command = [BINARY, *map(str, arguments), "--store", "store"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)

    def close(self):
        shutil.rmtree(self.folder)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def cpp_side(album, attack, surrogates, precision="fp32"):
    preset, overrides, _ = SETTINGS[attack]
    if attack == "fawkes-v0.3":
        overrides = {**overrides, "targets": album.folder / "targets-data"}
    name = f"{attack}-{precision}"
    changes = [argument for key, value in overrides.items() for argument in ("--set", f"{key}={value}")]
    start = time.perf_counter()
    album.facepoison("perturb", "photos-data", "--attack", preset, "--surrogates", ",".join(surrogates),
                     "--photos", "all", "--precision", precision, *changes,
                     "--trace", f"{name}.csv", "-o", name)  # fmt: skip
    side = Side(seconds=time.perf_counter() - start)
    for row in rows(album.folder / f"{name}.csv"):
        side.trace[Path(row["id"]).stem, int(row["iteration"])] = tuple(
            float(row[key]) for key in ("loss", "dssim", "similarity")
        )
    for row in rows(album.folder / name / "budget.csv"):
        side.final[Path(row["id"]).stem] = (float(row["dssim"]), float(row["similarity"]))
    return side


def reference_side(album, attack, cards):
    networks = [reference.load_network(card) for card in cards]
    side = Side()
    for path in album.pictures:
        photo = reference.read_photo(path)
        extra = (
            {"target": reference.read_photo(album.target)}
            if attack == "fawkes-v0.3"
            else {"start_noise": torch.zeros_like(photo)}
            if attack == "lowkey"
            else {}
        )
        stem = Path(path.stem).stem  # 00.jpg.png
        start = time.perf_counter()
        result = reference.ATTACKS[attack](photo=photo, networks=networks, **extra, **SETTINGS[attack][2])
        side.seconds += time.perf_counter() - start
        for row in result.trace:
            side.trace[stem, row.iteration] = tuple(row[1:])
        written = reference.truncated(result.pixels)
        with torch.no_grad():
            side.final[stem] = attacks.dssim(written, photo).item(), result.similarity(written).item()
    return side


def card_of(name, folder):
    """A card with the path of its weights: a fetched recogniser's are in models/, which only the program knows."""
    path = next(
        path
        for path in (ROOT / f"data/recognisers/{name}.json", ROOT / f"configs/extractors/{name}.json")
        if path.exists()
    )
    card = json.loads(path.read_text())
    card["file"] = str(path.parent / card["file"] if "/" in card["file"] else ROOT / "models" / card["file"])
    copy = folder / path.name
    copy.write_text(json.dumps(card))
    return copy


def mean_final(side, which):
    return sum(pair[which] for pair in side.final.values()) / len(side.final)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surrogates", default="small-surrogate,small-arcface", help="small ones, or fetched ones")
    parser.add_argument("--photos", type=int, default=5)
    parser.add_argument("--canvas", type=int, default=80)
    options = parser.parse_args()
    surrogates = options.surrogates.split(",")
    album = Album(options.photos, options.canvas)
    print("| attack | step | loss (C++, reference) | DSSIM | similarity |\n|---|---|---|---|---|")
    for attack in SETTINGS:
        ours, theirs = (
            cpp_side(album, attack, surrogates),
            reference_side(album, attack, [card_of(name, album.folder) for name in surrogates]),
        )
        for step in STEPS:
            means = [
                [
                    sum(side.trace[Path(p.stem).stem, step][i] for p in album.pictures) / len(album.pictures)
                    for side in (ours, theirs)
                ]
                for i in range(3)
            ]
            print(f"| {attack} | {step} | " + " | ".join(f"{a:.6g}, {b:.6g}" for a, b in means) + " |", flush=True)
        ends = [f"{mean_final(ours, i):.6g}, {mean_final(theirs, i):.6g}" for i in range(2)]
        print(f"| {attack} | written | | " + " | ".join(ends) + " |", flush=True)
    album.close()


if __name__ == "__main__":
    main()
