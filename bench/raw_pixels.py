"""Writes a baseline recogniser: its embedding is the aligned picture itself, 28 × 28 RGB. It tells people apart only by
colours, light and backdrop, so every real recogniser must be far better.

    .venv/bin/python bench/raw_pixels.py FOLDER      # FOLDER/raw-pixels.pt and its card
    facepoison identify DATASET DATASET -e FOLDER/raw-pixels.json
"""
import hashlib
import json
import sys
import warnings
from pathlib import Path

import torch

SIDE, CELLS = 112, 28


class RawPixels(torch.nn.Module):
    cells: int

    def __init__(self):
        super().__init__()
        self.cells = CELLS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(torch.nn.functional.adaptive_avg_pool2d(x, self.cells), 1)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated, but LibTorch reads it
        torch.jit.script(RawPixels()).save(str(folder / "raw-pixels.pt"))
    digest = hashlib.sha256((folder / "raw-pixels.pt").read_bytes()).hexdigest()
    pixels = {
        "side": SIDE,
        "template": "arcface-112",
        "channels": "rgb",
        "scale": 1.0,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    card = {"title": "raw pixels, a baseline", "released": "none", "licence": "the project's",
            "file": "./raw-pixels.pt", "sha256": digest, "input": pixels, "dimension": 3 * CELLS * CELLS}  # fmt: skip
    (folder / "raw-pixels.json").write_text(json.dumps(card, indent=2) + "\n")


if __name__ == "__main__":
    main()
