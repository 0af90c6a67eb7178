#!/usr/bin/env python3
"""Finds the weight of lite0's distance in LowKey's objective with which our pictures resemble the published ones.

    .venv/bin/python bench/lowkey_weight.py FOLDER [--weights .0005,.001,.002] [--dssim-weights .05,.01]

FOLDER is that of bench/published.py. tests/reference's LowKey runs on each clean photo with lite0 at each weight, and
with DSSIM at its own weights (.05 is LowKey's for LPIPS). "off" is the mean of |ln ratio| to the published picture, for
the DSSIM, the difference's length and its two shares of periods: .1 is a tenth.
"""
import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

import published

sys.path.insert(0, str(published.ROOT / "tests/reference"))
import attacks  # noqa: E402
import compare  # noqa: E402
import run as reference  # noqa: E402


def lite0():
    card = json.loads((published.ROOT / "configs/metrics/lite0.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
        module = torch.jit.load(published.ROOT / "models" / card["file"])
    return lambda a, b: module.apart(module.seen(a), module.seen(b))


def cloaked(clean, networks, seed, distance, weight):
    """The picture in 8 bits, truncated, as LowKey's code writes it."""
    photo = published.as_tensor(clean).float()
    noise = 0.005 * (2 * torch.rand(photo.shape, generator=torch.Generator().manual_seed(seed)) - 1)
    result = attacks.lowkey(photo, networks, noise, similarity_weight=weight, distance=distance)
    return torch.floor(result.pixels[0].permute(1, 2, 0) * 255).to(torch.uint8).numpy()


def off(found, wanted):
    """How far two rows of published.measures() differ."""
    def sizes(values):
        _, psnr, *others = values
        return np.log([10 ** (-psnr / 20), *others])

    return np.abs(sizes(found) - sizes(wanted)).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--weights", default=".0005,.0007,.001,.0014,.002", help="lite0's")
    parser.add_argument("--dssim-weights", default=".05,.02,.01,.005")
    parser.add_argument("--surrogates", default="dlib,faceplugin")
    parser.add_argument("--seed", type=int, default=0, help="of the noise that LowKey starts from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cards = [compare.card_of(name, Path(folder)) for name in options.surrogates.split(",")]
        networks = [reference.load_network(card) for card in cards]
    settings = [("DSSIM", attacks.dssim, float(weight)) for weight in options.dssim_weights.split(",")]
    settings += [("lite0", lite0(), float(weight)) for weight in options.weights.split(",")]
    columns = ["photo", "distance", "weight", *published.MEASURES, "off"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for number, clean, picture in published.pairs_of("lowkey", options.folder):
        wanted = published.measures(clean, picture)
        print(f"| {number} | published | | {' | '.join(published.written(wanted))} | |", flush=True)
        for name, distance, weight in settings:
            found = published.measures(clean, cloaked(clean, networks, options.seed, distance, weight))
            row = [f"{weight:g}", *published.written(found), f"{off(found, wanted):.2f}"]
            print(f"| {number} | {name} | {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
