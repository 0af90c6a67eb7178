"""Compares the C++ attacks with the reference on the same pictures, surrogates and settings.

    .venv/bin/python tests/reference/compare.py [--surrogates small-surrogate,small-arcface] [--photos N] [--canvas 80]

prints what test_attacks.py asserts: loss, DSSIM and similarity after 1, 2 and 10 steps, and of the final 8-bit
pictures; of attacks without a trace, DSSIM and similarity of the pictures that each number of steps ends with. Their
reference runs in double precision. The photos are rendered and squashed to the canvas as by `prepare --no-detect`, so
that there is no warp between pixels and network.
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
from streams import Stream

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
# Attacks without a trace, by preset: the key for how long it runs, and values of that key.
LENGTHS = {
    "tip-im": ("steps", (2, 10)),
    "opom-fi-uap": ("steps", (2, 16)),
    "opom-class-center": ("steps", (2, 16)),
    "opom-affine": ("steps", (2, 16)),
    "opom": ("steps", (6, 16)),  # the hull counts from the sixth step on
    "chameleon": ("epochs", (2, 10)),
    "protego-flat": ("epochs", (2, 10)),
}


@dataclass
class Side:
    """What one of the two gave: rows by (photo, step) and the written pictures' (DSSIM, similarity) by photo."""

    trace: dict = field(default_factory=dict)
    final: dict = field(default_factory=dict)
    seconds: float = 0.0


class Album:
    """Photos of one rendered person (beyond 20 of others', as one album), one of another, and one of each of three
    others, prepared in a temporary folder."""

    def __init__(self, count=5, canvas=80):
        self.folder = Path(tempfile.mkdtemp())
        for name, person, photos in (("photos", "gallery-000", count), ("targets", "gallery-001", 1)):
            (self.folder / name / person).mkdir(parents=True)
            for i in range(photos):
                source = person if i < 20 else f"gallery-{i // 20 + 1:03}"
                shutil.copy(
                    ROOT / f"data/rendered/{source}/{i % 20:02}.jpg", self.folder / name / person / f"{i:02}.jpg"
                )
        for person in ("gallery-001", "gallery-002", "gallery-003"):
            (self.folder / "others" / person).mkdir(parents=True)
            shutil.copy(ROOT / f"data/rendered/{person}/00.jpg", self.folder / "others" / person / "00.jpg")
        for name in ("photos", "targets", "others"):
            self.facepoison("prepare", name, "-o", f"{name}-data", "--no-detect", "--canvas", canvas)
        self.pictures = sorted(self.folder.glob("photos-data/canvas/*/*.png"))
        (self.target,) = self.folder.glob("targets-data/canvas/*/*.png")
        self.others = sorted(self.folder.glob("others-data/canvas/*/*.png"))

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


def cpp_written(album, attack, surrogates, length):
    """(DSSIM, similarity) of the written pictures by photo."""
    key, _ = LENGTHS[attack]
    changes = ["--set", f"{key}={length}"]
    if attack == "tip-im":
        changes += ["--set", f"targets={album.folder / 'others-data'}"]
    name = f"{attack}-{length}"
    album.facepoison("perturb", "photos-data", "--attack", attack, "--surrogates", ",".join(surrogates),
                     "--photos", "all", *changes, "-o", name)  # fmt: skip
    budget = rows(album.folder / name / "budget.csv")
    return {Path(row["id"]).stem: (float(row["dssim"]), float(row["similarity"])) for row in budget}


def learned_mask(attack, photos, networks, person, length):
    def start(purpose, size):
        stream = Stream(0, purpose, person)
        numbers = [size * (2 * stream.uniform() - 1) for _ in range(photos[0].numel())]
        return torch.tensor(numbers, dtype=torch.float64).view_as(photos[0])

    if attack == "chameleon":
        stream, order, orders = Stream(0, "chameleon order", person), list(range(len(photos))), []
        for _ in range(length):
            stream.shuffle(order)
            orders.append(list(order))
        return attacks.chameleon(photos, networks, start("chameleon", 0.001), orders)
    if attack == "protego-flat":
        return attacks.protego_flat(photos, networks, start("protego", 16 / 255), epochs=length)
    hull = attack.removeprefix("opom").removeprefix("-") or "convex"
    return attacks.opom(photos, networks, start("opom", 8 / 255), hull=hull, steps=length)


def reference_written(album, attack, cards, length):
    """The same as cpp_written()'s."""
    networks = [reference.load_network(card, torch.float64) for card in cards]
    photos = [reference.read_photo(path).double() for path in album.pictures]
    person = album.pictures[0].parent.name
    found = {}
    if attack == "tip-im":
        targets = [reference.read_photo(path).double() for path in album.others]
    else:
        mask = learned_mask(attack, torch.cat(photos), networks, person, length)
    for path, photo in zip(album.pictures, photos):
        name = Path(path.stem)  # 00.jpg.png
        if attack == "tip-im":
            stream = Stream(0, "tip-im view", person, f"{person}/{name}")
            views = [attacks.random_view(stream) for _ in range(length)]
            result = attacks.tip_im(photo, targets, networks, views)
            pixels, similarity = result.pixels, result.similarity
        else:
            pixels, similarity = attacks.with_mask(photo, mask), attacks.mask_similarity(photo, networks)
        written = torch.round(pixels * 255) / 255
        with torch.no_grad():
            found[name.stem] = attacks.dssim(written, photo).item(), similarity(written).item()
    return found


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


def mean_of(final, which):
    return sum(pair[which] for pair in final.values()) / len(final)


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
        ends = [f"{mean_of(ours.final, i):.6g}, {mean_of(theirs.final, i):.6g}" for i in range(2)]
        print(f"| {attack} | written | | " + " | ".join(ends) + " |", flush=True)
    for attack, (_, lengths) in LENGTHS.items():
        for length in lengths:
            ours = cpp_written(album, attack, surrogates, length)
            theirs = reference_written(album, attack, [card_of(name, album.folder) for name in surrogates], length)
            ends = [f"{mean_of(ours, i):.6g}, {mean_of(theirs, i):.6g}" for i in range(2)]
            print(f"| {attack} | {length} | | " + " | ".join(ends) + " |", flush=True)
    album.close()


if __name__ == "__main__":
    main()
