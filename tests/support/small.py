"""Small inputs on which every command takes about a second, and checks of outputs for kills.py and limits.py."""
import hashlib
import json
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("FACEPOISON_BINARY", str(ROOT / "build/release/facepoison"))
PEOPLE, PHOTOS, CANVAS = 6, 10, 64
# Times, durations and machines differ each time; a claim is a lock.
OF_A_MOMENT = ("run.json", "stats.txt", "verified.txt")


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Conv2d(3, 8, 3, 2), torch.nn.Linear(72, 16)

    def forward(self, x):
        return self.last(F.adaptive_avg_pool2d(torch.relu(self.first(x)), 3).flatten(1))


def write_inputs(folder):
    """Photos of rendered people, a recogniser, and configs of an experiment and of a training."""
    for person in range(PEOPLE):
        for photo in range(PHOTOS):
            source = ROOT / f"data/rendered/gallery-{person:03}/{photo:02}.jpg"
            (folder / f"photos/p{person}").mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / f"photos/p{person}/{photo}.jpg")
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
        torch.jit.script(Tiny().eval()).save(str(folder / "tiny.pt"))
    scaled = {"side": 32, "template": "none", "channels": "rgb", "scale": 255.0, "mean": [128] * 3, "std": [64] * 3}
    sha256 = hashlib.sha256((folder / "tiny.pt").read_bytes()).hexdigest()
    card = {"title": "a tiny network", "released": "2001", "licence": "none", "file": "./tiny.pt", "sha256": sha256}
    write_json(folder / "tiny.json", card | {"input": scaled, "dimension": 16})
    pgd = {"preset": "pgd", "surrogates": ["./tiny.json"], "steps": 30}
    write_json(folder / "pgd.json", json.loads((ROOT / "configs/attacks/pgd.json").read_text()) | {"steps": 30})
    experiment = {"dataset": "dataset", "attacks": ["none", "noise", pgd], "extractors": ["./tiny.json"]}
    write_json(folder / "eval.json", experiment | {"classifiers": ["nearest", "linear"], "protected": "all", "seed": 4})
    training = {"start": "./tiny.json", "dataset": "dataset", "held_out": 2, "batch": {"people": 4, "photos": 2}}
    training |= {"steps": 60, "log_every": 10, "check_every": 20, "checkpoint_every": 7}
    training |= {"loss": {"kind": "arcface", "scale": 8}, "card": {"title": "trained"}}
    write_json(folder / "train.json", training)


def write_json(path, value):
    path.write_text(json.dumps(value))


# name → arguments; each writes to {out}, and its cached work to a store. The data set is an undisturbed prepare's.
COMMANDS = {
    "prepare": f"prepare photos --no-detect --canvas {CANVAS} -o {{out}}",
    "perturb": "perturb dataset --attack ./pgd.json --surrogates ./tiny.json --photos all -o {out}",
    "embed": "embed dataset -e ./tiny.json -o {out}/x.npy",
    "eval": "eval -c eval.json --run-dir {out}",
    "train": "train -c train.json -o {out}",
}


def start(folder, command, out, store=None, **how):
    """`how`: arguments of Popen that replace the ones here."""
    arguments = [BINARY, *command.format(out=out).split(), *(["--store", store] if store else [])]
    environment = os.environ | {"FACEPOISON_HOME": os.environ.get("FACEPOISON_HOME", str(ROOT))}
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | how
    return subprocess.Popen(arguments, cwd=folder, env=environment, **how)


def digests(folder):
    """Digests of the computed files below a folder, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in ("claims", "digests", "seconds") and path.name not in OF_A_MOMENT:
            found[str(name)] = hashlib.sha256(without_seconds(path)).hexdigest()
    return found


def without_seconds(path):
    """A training's record says how long it took."""
    if path.parent.name != "training" or path.suffix != ".json":
        return path.read_bytes()
    return json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}).encode()


def differing(found, wanted):
    """Names that only one of two folders' digests has, or that differ."""
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


def temporaries(*folders):
    """Files that begin with a dot: a command's temporary files, except the lock of a claim."""
    return [path for folder in folders for path in folder.rglob(".*") if "claims" not in path.parts]
