#!/usr/bin/env python3
"""Runs commands into a limit of file size, a full disk, a read-only store or output folder, and a limit of memory. Each
must end with the exit code of docs/reference/run-folder.md and one line that says why. Every file must be whole, an
earlier run's or the new one's. With enough room, the same command must continue to an undisturbed run's bytes and leave
nothing else.

    .venv/bin/python tests/limits.py

FACEPOISON_BINARY names another binary than build/release/facepoison. Small disks are mounted in a namespace of this
process, which needs no rights if the system lets anybody have one; else these parts are skipped with a message. Exit
code 0 if all is as promised.
"""
import ctypes
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))
from small import CANVAS, COMMANDS, PEOPLE, PHOTOS, differing, digests, start, temporaries, write_inputs  # noqa: E402

OK, FAILURE, RESOURCE = 0, 1, 7
PAGE = resource.getpagesize()  # of a disk in memory
LIBC = ctypes.CDLL(None, use_errno=True)
CROPS = "embed photos -e ./tiny.json -o {out}/x.npy"
ALL = COMMANDS | {"crops": CROPS}
# Options for an earlier run in the same place; eval writes no other config's run there.
EARLIER = {name: command + " --seed 9" for name, command in COMMANDS.items() if name in ("prepare", "perturb")}
EARLIER |= {"train": COMMANDS["train"] + " --set seed=9", "embed": CROPS, "crops": COMMANDS["embed"]}
ON_THE_WAY = ("training/train.checkpoint", "training/train.csv", "unfinished.json")  # these grow, or go


class Bench:
    """A folder with inputs, an undisturbed run's outputs (quiet/) and an earlier run's (earlier/)."""

    def __init__(self, folder):
        self.folder, self.problems = folder, []
        write_inputs(folder)
        self.must("prepare", COMMANDS["prepare"], "dataset", "store")
        for name, command in ALL.items():
            self.must(name, command, f"quiet/{name}", f"quiet/{name}-store")
        for name, command in EARLIER.items():
            self.must(name, command, f"earlier/{name}", "earlier-store")
        shutil.copytree(folder / "quiet/eval", folder / "earlier/eval")

    def must(self, name, *what):
        code, said = self.run(*what)
        if code:
            sys.exit(f"{name} failed undisturbed: {said}")

    def run(self, command, out="", store=None, **how):
        process = start(self.folder, command, out, store, **how)
        said = process.communicate()[1].decode(errors="replace")
        return process.returncode, said

    def refused(self, what, outcome, codes, because=""):
        """Checks that exactly one line says why."""
        code, said = outcome
        other = [line for line in said.splitlines() if not line.startswith(("info: ", "warning: "))]
        if code not in codes:
            self.problems.append(f"{what}: exit code {code}: {said.strip()[-300:]}")
        elif code and (len(other) != 1 or not other[0].startswith("error: ") or because not in other[0]):
            self.problems.append(f"{what}: does not say in one line what is wrong: {said[-500:]}")

    def expect(self, condition, problem):
        if not condition:
            self.problems.append(problem)


class Climb:
    """A command under a limit that grows from run to run, perhaps on top of an earlier run's outputs."""

    def __init__(self, bench, situation, name):
        self.bench, self.name, self.what = bench, name, f"{situation}, {name}"
        self.out, self.store, self.old = f"{situation}/{name}", f"{situation}/{name}-store", {}

    def put_earlier(self):
        earlier = self.bench.folder / "earlier" / self.name
        shutil.copytree(earlier, self.bench.folder / self.out, dirs_exist_ok=True)
        self.old = digests(earlier)

    def run(self, step, codes=(RESOURCE,), **how):
        outcome = self.bench.run(ALL[self.name], self.out, self.store, **how)
        self.bench.refused(f"{self.what}, {step}", outcome, codes)
        self.look(step)

    def look(self, step, killed=False):
        """Checks that all files are whole and none is gone. Only a killed run may leave unfinished files."""
        folder = self.bench.folder
        for end, old in (("", self.old), ("-store", {})):
            there, new = digests(folder / (self.out + end)), digests(folder / f"quiet/{self.name}{end}")
            own = [n for n in there if n in ON_THE_WAY or killed and n.startswith(".tmp-")]
            half = [n for n in there if there[n] not in (new.get(n), old.get(n)) and n not in own]
            gone = [n for n in old if n not in there]
            self.bench.expect(not half + gone, f"{self.what}, {step}: not whole, or gone: {(half + gone)[:5]}")

    def end(self):
        """Runs with room for everything."""
        outcome = self.bench.run(ALL[self.name], self.out, self.store)
        self.bench.refused(f"{self.what}, at last", outcome, (OK,))
        for end in ("", "-store"):
            other = differing(*(digests(self.bench.folder / at) for at in (self.out + end, f"quiet/{self.name}{end}")))
            self.bench.expect(not other, f"{self.what}, at last: differ: {other[:5]}")
        left = temporaries(self.bench.folder / self.out, self.bench.folder / self.store)
        self.bench.expect(not left, f"{self.what}: left over: {left[:5]}")


class Disk:
    """A small disk in memory."""

    def __init__(self, at, options):
        self.at = at
        at.mkdir(parents=True, exist_ok=True)
        self.call("mount", b"tmpfs", 0, options.encode())

    def change(self, options, read_only=0):
        remount = 32
        self.call("mount", None, remount | read_only, options.encode())

    def call(self, name, *how):
        """Calls the kernel itself: mount(8) passes on options of another user, which are refused in a namespace."""
        source = [b"none"] if name == "mount" else []
        if getattr(LIBC, name)(*source, os.fsencode(self.at), *how):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), self.at)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("umount")


def limited(kind, most):
    return {"preexec_fn": lambda: resource.setrlimit(kind, (most, most))}


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def pages_of(folder):
    return sum(math.ceil(path.stat().st_size / PAGE) for path in files_in(folder))


def file_size(bench):
    """Limits from 0 to a byte less than the largest file."""
    for name in ALL:
        climb = Climb(bench, "file-size", name)
        climb.put_earlier()
        both = files_in(bench.folder / f"quiet/{name}") + files_in(bench.folder / f"quiet/{name}-store")
        for most in (0, max(path.stat().st_size for path in both) - 1):
            climb.run(f"{most} bytes", **limited(resource.RLIMIT_FSIZE, most))
        climb.end()


def one_file(bench):
    """Outputs that are one file each."""
    folder, small = bench.folder, limited(resource.RLIMIT_FSIZE, 10)
    store = "quiet/eval-store"
    commands = {"table": ("table quiet/eval -o {out}", None)}
    commands |= {"show": ("show -c eval.json -o {out}", store)}
    commands |= {"verify": ("store verify -o {out}", store), "gc": ("store gc --older-than 0 -o {out}", store)}
    trace = COMMANDS["perturb"].format(out="one/perturbed") + " --trace {out}"
    commands |= {"trace": (trace, "quiet/perturb-store")}
    for name, (command, store) in commands.items():
        out = f"one/{name}.png"
        (folder / "one").mkdir(exist_ok=True)
        (folder / out).write_text("an older file")
        bench.refused(name, bench.run(command, out, store, **small), (RESOURCE,), "cannot write ")
        bench.expect((folder / out).read_text() == "an older file", f"{name}: the older file is not whole")
        bench.refused(name, bench.run(command, out, store), (OK,))
        bench.expect((folder / out).read_bytes() != b"an older file", f"{name}: nothing was written")
    bench.expect(not temporaries(folder / "one"), "one file: left over")


def full_device(bench):
    """A device that is always full, as stdout and as the target of a link."""
    (bench.folder / "full.csv").symlink_to("/dev/full")
    for command in ("table quiet/eval", "eval -c eval.json --dry-run", "store verify"):
        store = None if command.startswith("table") else "quiet/eval-store"
        with open("/dev/full", "w") as full:
            bench.refused(command, bench.run(command, store=store, stdout=full), (RESOURCE,), "cannot write to stdout")
        outcome = bench.run(command + " -o full.csv", store=store)
        bench.refused(command, outcome, (RESOURCE,), "cannot write full.csv")
    bench.expect((bench.folder / "full.csv").is_symlink(), "the link to a full device is gone")


def full_store(bench):
    for name in COMMANDS:
        climb = Climb(bench, "full-store", name)
        climb.put_earlier()
        decoded = PEOPLE * PHOTOS * CANVAS * CANVAS * 3 // PAGE if name == "train" else 0
        need = max(pages_of(bench.folder / f"quiet/{name}-store"), decoded)
        with Disk(bench.folder / climb.store, f"size={need // 2 * PAGE}") as disk:
            climb.run("half of its size")
            disk.change("size=100m")
            climb.end()


def full_output(bench):
    for name in COMMANDS:
        climb = Climb(bench, "full-output", name)
        with Disk(bench.folder / climb.out, "size=100m") as disk:
            climb.put_earlier()
            for more in (0, 2):
                disk.change(f"size={(pages_of(disk.at) + more) * PAGE}")
                climb.run(f"{more} pages more", (OK, RESOURCE) if more else (RESOURCE,))
            disk.change("size=100m")
            climb.end()


def no_more_files(bench):
    """A disk with room, but not for another file or folder."""
    for where in ("store", "out"):
        climb = Climb(bench, f"no-more-files-{where}", "prepare")
        with Disk(bench.folder / getattr(climb, where), "nr_inodes=1") as disk:
            for most in (1, 2, 9):
                disk.change(f"nr_inodes={most}")
                climb.run(f"{most} files")
            disk.change("nr_inodes=10000")
            climb.end()


def read_only_store(bench):
    """The store serves what it has; one line says what it lacks."""
    folder = bench.folder
    with Disk(folder / "read-only/store", "size=100m") as disk:
        for name in ALL:
            shutil.copytree(folder / f"quiet/{name}-store", disk.at, dirs_exist_ok=True)
        before = {path: path.stat().st_mtime_ns for path in files_in(disk.at)}
        disk.change("size=100m", read_only=1)
        for name in ALL:
            outcome = bench.run(ALL[name], f"read-only/{name}", "read-only/store")
            if name == "train":  # its decoded photos go into the store
                bench.refused("read-only store, train", outcome, (FAILURE,), "Read-only file system")
                continue
            bench.refused(f"read-only store, {name}", outcome, (OK,))
            other = differing(*(digests(folder / at / name) for at in ("read-only", "quiet")))
            bench.expect(not other, f"read-only store, {name}: differ: {other[:5]}")
        for command in ("store verify", "store gc --older-than 0", "eval -c eval.json --set seed=5 --dry-run"):
            bench.refused(f"read-only store, {command}", bench.run(command, store="read-only/store"), (OK,))
        for command in ("store gc --older-than 0 --delete", "eval -c eval.json --set seed=5 --run-dir read-only/other"):
            outcome = bench.run(command, store="read-only/store")
            bench.refused(f"read-only store, {command}", outcome, (FAILURE,), "cannot write the store ")
        after = {path: path.stat().st_mtime_ns for path in files_in(disk.at)}
        bench.expect(before == after, "read-only store: it is another one")


def read_only_output(bench):
    """The error comes before the work; existing files stay readable."""
    folder = bench.folder
    with Disk(folder / "read-only-output", "size=100m") as disk:
        shutil.copytree(folder / "earlier", disk.at, dirs_exist_ok=True)
        disk.change("size=100m", read_only=1)
        for name, command in ALL.items():
            at = f"new/{name}" if name == "prepare" else name
            outcome = bench.run(command, f"read-only-output/{at}", "read-only-output-store")
            bench.refused(f"read-only output, {at}", outcome, (FAILURE,), "Read-only file system")
        bench.expect(not (folder / "read-only-output-store").exists(), "read-only output: found only after the work")
        other = differing(digests(disk.at), digests(folder / "earlier"))
        bench.expect(not other, f"read-only output: differ: {other[:5]}")
        bench.refused("a run that may only be read", bench.run("table read-only-output/eval"), (OK,))


def write_large(folder):
    """Writes many scans: decoding them takes as much memory again as the pixels."""
    for person in range(2):
        (folder / f"large/p{person}").mkdir(parents=True, exist_ok=True)
        picture = Image.linear_gradient("L").resize((2000, 1500)).rotate(90 * person)
        colours = Image.merge("RGB", [picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), picture])
        colours.save(folder / f"large/p{person}/0.jpg", progressive=True)


def memory(bench):
    """From too little memory to load LibTorch, to enough. A shortage inside a library, before main() or in it, may end
    the process by a signal; a shortage in our code never does."""
    write_large(bench.folder)
    ALL["large"] = f"prepare large --no-detect --canvas {CANVAS} --split 1 -o {{out}}"
    bench.must("large", ALL["large"], "quiet/large", "quiet/large-store")
    (bench.folder / "earlier/large").mkdir()
    for name in ("eval", "large"):
        climb, seen, most = Climb(bench, "memory", name), set(), 64 << 20
        climb.put_earlier()
        while OK not in seen and most < 4 << 30:
            outcome = bench.run(ALL[name], climb.out, climb.store, **limited(resource.RLIMIT_DATA, most))
            seen.add(outcome[0])
            of_a_library = outcome[0] < 0 or outcome[0] == 127
            if not of_a_library:
                told = (outcome[0], outcome[1].splitlines()[-1]) if outcome[1] else outcome  # libraries say more before
                bench.refused(f"{climb.what}, {most >> 20} MB", told, (OK, RESOURCE))
            climb.look(f"{most >> 20} MB", killed=of_a_library)
            # Small steps where memory is nearly enough: MKL continues without its buffers and adds in another order.
            most += most // 64 if name == "eval" and not of_a_library else most // 8
        bench.expect(RESOURCE in seen or seen == {OK}, f"{climb.what}: never told: {seen}")
        if seen == {OK}:
            print("  memory is not limited here: not tried")
        climb.end()


WITH_DISKS = (full_store, full_output, no_more_files, read_only_store, read_only_output)


def in_own_namespace():
    """Restarts this script where it may mount, if possible."""
    if "--may-mount" in sys.argv:
        return True
    for how in ("-rm", "-m") if shutil.which("unshare") else ():
        with tempfile.TemporaryDirectory() as empty:
            mount = ["unshare", how, "mount", "-t", "tmpfs", "-o", "size=4k", "none", empty]
            mounts = subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0
        if mounts:
            os.execvp("unshare", ["unshare", how, sys.executable, *sys.argv, "--may-mount"])
    return False


def main():
    may_mount = in_own_namespace()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is nothing to share out
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(Path(temporary))
        for situation in (file_size, one_file, full_device, *WITH_DISKS, memory):
            name, before = situation.__name__.replace("_", " "), len(bench.problems)
            if situation in WITH_DISKS and not may_mount:
                print(f"{name}: skipped, since nothing can be mounted here", flush=True)
                continue
            situation(bench)
            print(f"{name}: {len(bench.problems) - before} problems", flush=True)
            for problem in bench.problems[before:]:
                print(f"  {problem}")
    return 1 if bench.problems else 0


if __name__ == "__main__":
    sys.exit(main())
