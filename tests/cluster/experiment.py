"""An experiment of a few seconds, and its run by one process, with which other runs are compared."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("FACEPOISON_BINARY", str(ROOT / "build/release/facepoison"))
CONFIG = {
    "dataset": str(ROOT / "data/rendered"),
    "prepare": {"people": ["gallery-00*"], "photos_per_person": 8},
    "protected": "all",
    "extractors": ["small-arcface", "small-magface"],
    "attacks": ["none", {"preset": "pgd", "surrogates": ["small-surrogate"], "steps": 90}],
    "classifiers": ["nearest"],
    "seed": 1,
}


def write_config(folder, **changes):
    file = Path(folder) / "shared.json"
    file.write_text(json.dumps({**CONFIG, **changes}))
    return file


def run_alone(folder):
    """The table of one process, as bytes."""
    command = [BINARY, "eval", "--config", "shared.json", "--store", "alone", "--run-dir", "alone-run"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return table_in(Path(folder) / "alone-run")


def table_in(run):
    return {name: (Path(run) / name).read_bytes() for name in ("table.csv", "rows.csv", "trials.csv", "budget.csv")}
