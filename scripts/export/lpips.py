#!/usr/bin/env python3
"""Makes models/lpips.pt from AlexNet's and LPIPS's published files: a distance between pictures, seen by AlexNet.

    .venv/bin/python scripts/export/lpips.py ALEXNET.pth [--heads alex.pth] [-o FOLDER]

ALEXNET.pth is https://download.pytorch.org/models/alexnet-owt-7be5be79.pth (torchvision, BSD-3-Clause, 233 MB) or the
older alexnet-owt-4df8aa71.pth. The heads are LPIPS v0.1's (BSD-2-Clause), from PyPI's lpips 0.1.4; without --heads,
pip fetches that package. FOLDER (default models) gets lpips.pt and its record, lpips.json.

The module takes two N×3×H×W tensors, RGB in [0,1], H and W at least 31, and gives N distances (Zhang et al., CVPR 2018,
v0.1): differentiable, 0 for equal pictures. Its methods seen() and apart() are the two halves of this computation.
"""
import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import List

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from convert import pypi  # noqa: E402
from export.base import (  # noqa: E402
    check_keys,
    fail,
    is_record,
    load_state_dict,
    refuse_to_replace,
    save_module,
    sha256_of,
)

# Inputs, outputs, kernel, stride, padding of AlexNet's convolutions, and their numbers in torchvision's file.
CONVOLUTIONS = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
NUMBERS = [0, 3, 6, 8, 10]
# The layers that classify ImageNet. LPIPS does not use them, but a file without them is not AlexNet's.
CLASSIFIER = {1: (4096, 9216), 4: (4096, 4096), 6: (1000, 4096)}
PUBLISHED_ALEXNET = ("7be5be79", "4df8aa71")  # the starts of the sha256 of torchvision's two files

PACKAGE, MEMBER = "lpips==0.1.4", "lpips/weights/v0.1/alex.pth"
HEADS_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"


class Lpips(nn.Module):
    """Gives the same numbers as PyPI's lpips, LPIPS(net="alex"), with normalize=True, and as S-aiueo32's
    lpips_pytorch, LPIPS("alex", "0.1"): same five layers, constants, epsilon and heads. LowKey uses the latter, which
    takes pictures in [-1,1] and sums a batch's distances; LowKey divides by the batch size, so its term is the mean."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.convolutions = nn.ModuleList([nn.Conv2d(*row) for row in CONVOLUTIONS])
        self.heads = nn.ModuleList([nn.Conv2d(row[1], 1, 1, bias=False) for row in CONVOLUTIONS])

    @torch.jit.export
    def seen(self, picture: torch.Tensor) -> List[torch.Tensor]:
        """The features that apart() compares: AlexNet's, after each of its five ReLUs."""
        found: List[torch.Tensor] = []
        x = (2 * picture - 1 - self.shift) / self.scale
        for k, convolution in enumerate(self.convolutions):
            if k == 1 or k == 2:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            found.append(x)
        return found

    @torch.jit.export
    def apart(self, a: List[torch.Tensor], b: List[torch.Tensor]) -> torch.Tensor:
        """N distances between the features of two batches of pictures."""
        distance = torch.zeros_like(a[0][:, 0, 0, 0])
        for k, head in enumerate(self.heads):
            distance = distance + head((direction(a[k]) - direction(b[k])) ** 2).mean([1, 2, 3])
        return distance

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.apart(self.seen(a), self.seen(b))


def direction(x: torch.Tensor) -> torch.Tensor:
    """The features with length one at each place of the picture."""
    # A plain root of a sum of squares has the gradient NaN where all channels are zero; vector_norm has 0.
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)


def alexnet_shapes():
    """Every tensor of torchvision's file, by name."""
    weights = {f"features.{n}": (o, i, k, k) for n, (i, o, k, _, _) in zip(NUMBERS, CONVOLUTIONS)}
    weights |= {f"classifier.{n}": shape for n, shape in CLASSIFIER.items()}
    return {
        f"{layer}.{part}": shape[: None if part == "weight" else 1]
        for layer, shape in weights.items()
        for part in ("weight", "bias")
    }


def head_shapes():
    return {f"lin{k}.model.1.weight": (1, row[1], 1, 1) for k, row in enumerate(CONVOLUTIONS)}


def load_alexnet(path):
    tensors = load_state_dict(path)
    check_name(path, sha256_of(path))
    check_keys(tensors, alexnet_shapes(), f"{path} is not torchvision's AlexNet")
    return tensors


def load_heads(path):
    tensors = load_state_dict(path)
    check_keys(tensors, head_shapes(), f"{path} is not LPIPS's heads for AlexNet, v0.1")
    return tensors


def build(alexnet, heads):
    """Builds the module from the two files' tensors."""
    module = Lpips()
    ours = {"shift": module.shift, "scale": module.scale}
    for k, number in enumerate(NUMBERS):
        ours |= {f"convolutions.{k}.{part}": alexnet[f"features.{number}.{part}"] for part in ("weight", "bias")}
        ours[f"heads.{k}.weight"] = heads[f"lin{k}.model.1.weight"]
    module.load_state_dict(ours)
    return module


def fetch_heads(folder):
    """Fetches LPIPS's package into the folder with pip and extracts the heads."""
    print(f"fetching {PACKAGE} for its heads", flush=True)
    try:
        wheel = pypi.download(*PACKAGE.split("=="), folder)
    except RuntimeError as error:
        fail(f"{error}; --heads takes {MEMBER} of that package")
    heads = Path(folder) / "alex.pth"
    heads.write_bytes(pypi.read(wheel, [MEMBER])[MEMBER])
    if sha256_of(heads) != HEADS_SHA256:
        fail(f"{MEMBER} of {PACKAGE} has the sha256 {sha256_of(heads)}, expected {HEADS_SHA256}")
    return heads


def check_name(path, sha256):
    """Checks the sha256: torchvision's file names end with its first digits."""
    promised = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if promised and not sha256.startswith(promised[1]):
        fail(f"{path} has the sha256 {sha256}, its name promises {promised[1]}...: altered or incomplete")


def described(what, path, published, licence):
    """A file's entry in the record. published: the starts of the sha256 of its published versions."""
    sha256 = sha256_of(path)
    known = sha256.startswith(published)
    licence = licence if known else "not known"  # somebody's own weights
    print(
        f"{what}: {path.name}, sha256 {sha256[:16]}, "
        f"{'the published file' if known else 'NOT A PUBLISHED FILE'}, licence: {licence}"
    )
    return {"file": path.name, "sha256": sha256, "published": known, "licence": licence}


def export(alexnet, heads, folder, temporary):
    weights, record_path = folder / "lpips.pt", folder / "lpips.json"
    inputs = [path for path in (alexnet, heads) if path]
    refuse_to_replace([weights, record_path], inputs, is_own=is_record(record_path, "heads"))
    tensors = load_alexnet(alexnet)  # before anything is fetched
    heads = heads or fetch_heads(temporary)
    module = build(tensors, load_heads(heads))
    source = {
        "alexnet": described("AlexNet", alexnet, PUBLISHED_ALEXNET, "BSD-3-Clause (torchvision)"),
        "heads": described("LPIPS's heads", heads, (HEADS_SHA256,), "BSD-2-Clause (LPIPS)"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    record = {"file": "lpips.pt", "source": source, "converted_with": {"torch": str(torch.__version__)}}
    save_module(module, weights, record, record_path)
    print(f"wrote {weights}, sha256 {record['sha256'][:16]}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Makes lpips.pt from AlexNet's and LPIPS's published files.")
    parser.add_argument("alexnet", type=Path, metavar="ALEXNET.pth", help="torchvision's alexnet-owt-7be5be79.pth")
    parser.add_argument(
        "--heads", type=Path, metavar="alex.pth", help=f"{MEMBER} of PyPI's {PACKAGE} (default: pip fetches it)"
    )
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "models", metavar="FOLDER")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        export(options.alexnet, options.heads, options.output, temporary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
