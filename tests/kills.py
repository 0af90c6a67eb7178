#!/usr/bin/env python3
"""Kills prepare, perturb, embed, eval (answers) and train at random moments, lets each go on, and compares what comes
out with an undisturbed run's: outputs and store, byte for byte. No temporary file may be left behind.

    [FACEPOISON_KILLS=100] .venv/bin/python tests/kills.py [--seed N]

The kills (default 20) are dealt out to the five commands in turn. FACEPOISON_BINARY names another binary than
build/release/facepoison. Exit code 0 where all is as promised.
"""
import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parents[1]
BINARY = os.environ.get("FACEPOISON_BINARY", str(ROOT / "build/release/facepoison"))
PEOPLE, PHOTOS, CANVAS = 6, 10, 64
# What says when, how long and by whom is another each time; a claim is a lock.
OF_A_MOMENT = ("run.json", "seal.txt", "verified.txt", "digests.json")


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


# name → arguments; each writes to {out}, and its cached work to {store}. The data set is an undisturbed prepare's.
COMMANDS = {
    "prepare": f"prepare photos --no-detect --canvas {CANVAS} -o {{out}}",
    "perturb": "perturb dataset --attack ./pgd.json --surrogates ./tiny.json --photos all -o {out}",
    "embed": "embed dataset -e ./tiny.json -o {out}/x.npy",
    "eval": "eval -c eval.json --run-dir {out}",
    "train": "train -c train.json -o {out}",
}


def start(folder, command, out, store):
    arguments = [*command.format(out=out).split(), "--store", store]
    (folder / out).parent.mkdir(exist_ok=True)
    environment = os.environ | {"FACEPOISON_HOME": os.environ.get("FACEPOISON_HOME", str(ROOT))}
    return subprocess.Popen(
        [BINARY, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def digests(folder):
    """What was computed below a folder, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in ("claims", "seconds") and path.name not in OF_A_MOMENT:
            found[str(name)] = hashlib.sha256(without_seconds(path)).hexdigest()
    return found


def without_seconds(path):
    """A training's record says how long it took."""
    if path.parent.name != "training" or path.suffix != ".json":
        return path.read_bytes()
    return json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}).encode()


def temporaries(*folders):
    """Whatever begins with a dot is a command's own, but for the lock of a claim."""
    return [path for folder in folders for path in folder.rglob(".*") if "claims" not in path.parts]


class Disturbed:
    """One command that is killed again and again beside one that was left alone."""

    def __init__(self, folder, name, moments):
        self.folder, self.name, self.moments = folder, name, moments
        self.kills = self.finished = 0
        self.problems = []
        began = time.monotonic()
        process = start(folder, COMMANDS[name], f"quiet/{name}", f"quiet/{name}-store")
        said = process.communicate()[1].decode()
        if process.returncode:
            sys.exit(f"{name} failed undisturbed: {said}")
        self.seconds = time.monotonic() - began

    def try_once(self, kill):
        """Runs it from where it stands, to its end or to a random moment; checks what it leaves, when it ends."""
        process = start(self.folder, COMMANDS[self.name], f"run/{self.name}", f"run/{self.name}-store")
        try:
            # most of the moments before a resumed run would end
            said = process.communicate(timeout=self.moments.uniform(0, self.seconds) if kill else None)[1].decode()
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            self.kills += 1
            return
        self.finished += 1
        if process.returncode:
            self.problems.append(f"exit code {process.returncode}: {said.strip()[-300:]}")
        self.compare()

    def compare(self):
        for end in ("", "-store"):
            found, wanted = (digests(self.folder / run / (self.name + end)) for run in ("run", "quiet"))
            other = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
            if other:
                self.problems.append(f"after {self.kills} kills differ: {', '.join(other[:5])}")
        run, store = self.folder / "run" / self.name, self.folder / "run" / f"{self.name}-store"
        left = temporaries(run, store)
        if left:
            self.problems.append(f"left over: {', '.join(str(path.relative_to(self.folder)) for path in left[:5])}")
        shutil.rmtree(run), shutil.rmtree(store)


def main():
    parser = argparse.ArgumentParser(description="Kills the commands at random moments and compares what comes out.")
    parser.add_argument("--seed", type=int, default=0)
    moments, kills = random.Random(parser.parse_args().seed), int(os.environ.get("FACEPOISON_KILLS", 20))
    problems = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(folder)
        prepared = start(folder, COMMANDS["prepare"], "dataset", "store")
        if prepared.wait():
            sys.exit(f"prepare failed: {prepared.stderr.read().decode()}")
        for k, name in enumerate(COMMANDS):
            share = kills // len(COMMANDS) + (k < kills % len(COMMANDS))
            command = Disturbed(folder, name, moments)
            while command.kills < share and command.finished < 10 + 3 * share:
                command.try_once(kill=True)
            if command.kills < share:
                command.problems.append(f"too quick: {command.kills} of {share} kills")
            command.try_once(kill=False)
            print(
                f"{name}: {command.seconds:.1f} s undisturbed; {command.kills} kills, {command.finished} runs that "
                f"ended and were compared, {len(command.problems)} problems",
                flush=True,
            )
            for problem in command.problems:
                print(f"  {problem}")
            problems += len(command.problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
