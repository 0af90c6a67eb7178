"""Cloaks photos with the reference attacks, to compare the traces and pixels of another implementation with them.

  run.py fawkes-v1.0 --photos FOLDER --networks data/recognisers/small-surrogate.json --set steps=20 threshold=0.01
    -o OUT

Photos are PNG files of 8 bits a channel, or .npy files of float32, 3xHxW, RGB in [0,1]. A folder gives its files in the
order of their names. A photo's id is its file's stem, or the ID in ID=FILE.

OUT/trace.csv    id,iteration,loss,dssim,similarity: row k is measured after k steps
OUT/ID.npy       the cloaked photo, float32 3xHxW in [0,1], before it becomes 8 bits
OUT/summary.csv  id,status,dssim,similarity,seconds; measured on the cloaked photo truncated to 8 bits

Two correct implementations differ after some steps, because signs and budgets depend on the last digits of float32. To
see how soon, run the same command with --double. Fawkes v0.3 hardly drifts, LowKey a little, Fawkes v1.0 a lot from its
first step on.
"""
import argparse
import csv
import inspect
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

import attacks

ATTACKS = {"fawkes-v0.3": attacks.fawkes_v03, "fawkes-v1.0": attacks.fawkes_v10, "lowkey": attacks.lowkey}
NOT_SETTINGS = {"photo", "target", "networks", "start_noise", "distance"}  # these have options of their own, or none


# ---- reading pictures and networks

def read_photo(path):
    """1x3xHxW float32 in [0,1], for any precision of the attack."""
    if path.suffix == ".npy":
        pixels = np.load(path)
    elif path.suffix == ".png":
        pixels = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1) / np.float32(255)
    else:
        raise SystemExit(f"{path}: photos are .png or .npy")
    return torch.from_numpy(np.array(pixels, dtype=np.float32))[None]


def named_files(arguments):
    """(id, path) of every file; folders are opened."""
    found = []
    for argument in arguments:
        name, _, file = argument.rpartition("=")
        path = Path(file)
        inside = sorted(p for p in path.iterdir() if p.suffix in (".png", ".npy")) if path.is_dir() else [path]
        found += [(name or p.stem, p) for p in inside]
    return found


def photos_with_ids(arguments):
    photos = named_files(arguments)
    if len({name for name, _ in photos}) != len(photos):
        raise SystemExit("two photos have the same id; name them ID=FILE")
    return photos


def load_network(card_path, dtype=torch.float32):
    """A callable from pixels to raw embeddings: the card's TorchScript file behind the card's own preparation."""
    card = json.loads(Path(card_path).read_text())
    wanted = card["input"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer PyTorch calls TorchScript old
        module = torch.jit.load(str(Path(card_path).parent / card["file"]), map_location="cpu").eval().to(dtype)
    mean, std = (torch.tensor(wanted[key], dtype=dtype).view(1, 3, 1, 1) for key in ("mean", "std"))

    def network(pixels):
        if pixels.shape[2:] != (wanted["side"], wanted["side"]):
            pixels = functional.interpolate(pixels, size=(wanted["side"],) * 2, mode="bilinear", align_corners=False)
        if wanted["channels"] == "bgr":
            pixels = pixels.flip(1)
        return module((pixels * wanted["scale"] - mean) / std)

    return network


# ---- running and writing

def settings(attack, pairs):
    """key=value pairs as arguments of the attack."""
    known = [name for name in inspect.signature(attack).parameters if name not in NOT_SETTINGS]
    found = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in known:
            raise SystemExit(f"--set {pair}: the keys are {', '.join(known)}")
        found[key] = int(value) if key == "steps" else float(value)
    return found


def one_each(files, what, photos):
    if len(files) != len(photos):
        raise SystemExit(f"{len(photos)} photos, but {len(files)} {what}")
    return files


def extra_arguments(options, photos, dtype):
    """Arguments that differ between photos: a target, or noise to start from."""
    noise = None
    if options.noise and options.attack == "fawkes-v0.3":
        raise SystemExit("fawkes-v0.3 starts from no noise")
    if options.noise:
        noise = one_each(torch.from_numpy(np.load(options.noise)).to(dtype), "noises", photos)
    if options.attack == "fawkes-v0.3":
        return [
            {"target": read_photo(path).to(dtype)}
            for _, path in one_each(named_files(options.targets), "targets", photos)
        ]
    if options.attack == "lowkey" and noise is None:
        raise SystemExit("lowkey needs --noise")
    key = "start_noise" if options.attack == "lowkey" else "start"
    return [{} for _ in photos] if noise is None else [{key: start[None]} for start in noise]


def truncated(pixels):
    return torch.floor(pixels * 255) / 255


def cloak(attack, photo, networks, arguments):
    """The attack's result and its row of the summary."""
    start = time.perf_counter()
    result = attack(photo=photo, networks=networks, **arguments)
    seconds = time.perf_counter() - start
    written = truncated(result.pixels)
    with torch.no_grad():
        measured = attacks.dssim(written, photo).item(), result.similarity(written).item()
    return result, [result.status, *(f"{value:.9g}" for value in measured), f"{seconds:.3f}"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attack", choices=ATTACKS)
    parser.add_argument("--photos", nargs="+", required=True, metavar="FOLDER|FILE|ID=FILE")
    parser.add_argument("--networks", nargs="+", required=True, metavar="CARD.json")
    parser.add_argument(
        "--targets", nargs="+", default=[], metavar="FILE", help="fawkes-v0.3: one a photo; the names play no part"
    )
    parser.add_argument(
        "--noise", metavar="FILE.npy", help="Nx3xHxW, one a photo: pixels for lowkey, tanh space for fawkes-v1.0"
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="the attack's keyword arguments"
    )
    parser.add_argument("--double", action="store_true", help="float64 throughout, to see how far float32 alone drifts")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    attack = ATTACKS[options.attack]
    shared = settings(attack, options.set)
    photos = photos_with_ids(options.photos)
    dtype = torch.float64 if options.double else torch.float32
    extras = extra_arguments(options, photos, dtype)
    networks = [load_network(card, dtype) for card in options.networks]
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        open(options.out / "trace.csv", "w", newline="") as traces,
        open(options.out / "summary.csv", "w", newline="") as summaries,
    ):
        trace, summary = csv.writer(traces, lineterminator="\n"), csv.writer(summaries, lineterminator="\n")
        trace.writerow(["id", "iteration", "loss", "dssim", "similarity"])
        summary.writerow(["id", "status", "dssim", "similarity", "seconds"])
        for (name, path), extra in zip(photos, extras):
            result, row = cloak(attack, read_photo(path).to(dtype), networks, {**shared, **extra})
            trace.writerows([name, r.iteration, *(f"{value:.9g}" for value in r[1:])] for r in result.trace)
            summary.writerow([name, *row])
            np.save(options.out / f"{name}.npy", np.ascontiguousarray(result.pixels[0].float().numpy()))


if __name__ == "__main__":
    main()
