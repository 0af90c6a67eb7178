#!/usr/bin/env python3
"""Kills prepare, perturb, embed, eval (answers) and train at random moments, continues each, and compares outputs and
store with an undisturbed run's, byte for byte. No temporary file may be left behind.

    [FACEPOISON_KILLS=100] .venv/bin/python tests/kills.py [--seed N]

The kills (default 20) go to the five commands in turn. FACEPOISON_BINARY names another binary than
build/release/facepoison. Exit code 0 if all is as promised.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))
from small import COMMANDS, differing, digests, start, temporaries, write_inputs  # noqa: E402


class Disturbed:
    """A command that is killed repeatedly, and an undisturbed run of it."""

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
        """Continues the command to its end or to a random moment; checks the results when it ends."""
        process = start(self.folder, COMMANDS[self.name], f"run/{self.name}", f"run/{self.name}-store")
        try:
            # mostly before a resumed run would end
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
            other = differing(*(digests(self.folder / run / (self.name + end)) for run in ("run", "quiet")))
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
