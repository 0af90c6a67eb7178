#!/usr/bin/env python3
"""Counts the file-system operations of a unit of work in traces of the program; prints the "operations" for
bench/scale.py as JSON.

    strace -f -y -qq -e trace=%file,flock,ftruncate,getdents64 -o TRACE facepoison eval --config X.json --worker ...
    facepoison eval --config X.json --dry-run --format json -o plan.json
    .venv/bin/python bench/operations.py STORE PHOTOS plan.json TRACE ...

An operation is a system call that names a file in the store or in the data set PHOTOS, locks or truncates it, or lists
a folder: these need the server of a network file system. Reading, writing, closing and the fstat of an open file do not
count. A call on a folder above the units counts for the unit that the thread named last. Each number is a mean over all
traces. In the traces, workers must make units, find them, and share them with another worker.
"""
import argparse
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

LINE = re.compile(r"(\d+) +(\w+)\((.*)")
NAME = re.compile(r"[0-9a-f]{64}")
RENEWED = 2  # Claim::renew(): a stat and an utimensat; units of a trace end before that
EMBEDDINGS = "/features.npy"  # "answered" reads it once for a stage, not for each unit
RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")


def whole_lines(trace):
    """The trace's lines. Joins the parts of lines that another thread's call interrupted."""
    begun = {}
    for line in open(trace, errors="replace"):
        resumed = RESUMED.match(line)
        if line.rstrip().endswith("<unfinished ...>"):
            begun[line.split()[0]] = line.rstrip().removesuffix("<unfinished ...>")
        else:
            yield begun.pop(resumed[1], "") + resumed[2] if resumed else line


def calls_in(trace, folders):
    """(thread, call, path, arguments) of each operation in the folders."""
    for line in whole_lines(trace):
        found = LINE.match(line)
        if not found or "AT_EMPTY_PATH" in line or '>, "", ' in line:  # fstat
            continue
        arguments = found[3]
        path = arguments.split('"')[1] if '"' in arguments else arguments.split("<", 1)[-1].split(">")[0]
        if path.startswith(folders):
            yield int(found[1]), found[2], path, arguments


class Counted:
    def __init__(self, kinds):
        self.kinds = kinds  # of artefacts, by name
        self.operations, self.times = Counter(), Counter()  # by (what, kind)
        self.traces = 0

    def add(self, what, kind, operations=1, times=1):
        self.operations[what, kind] += operations
        self.times[what, kind] += times

    def add_trace(self, trace, store, photos):
        self.traces += 1
        main, making, visits, last = None, None, defaultdict(list), {}
        for thread, call, path, arguments in calls_in(trace, (f"{store}/", f"{photos}/")):
            main = main or thread
            if path.startswith(f"{photos}/"):
                self.add("made" if making else "start", making or "", 1, not making)
                continue
            named = NAME.search(path)
            name = named[0] if named and named[0] in self.kinds else last.get(thread)
            last[thread] = name
            if name is None:
                continue
            kind, is_claim = self.kinds[name], "/claims/" in path
            if thread == main and (name in visits or is_claim and call == "openat"):
                making = kind
                visits[name].append((call, path))
                if is_claim and (call == "unlink" or "EAGAIN" in arguments):
                    self.add_visit(kind, visits.pop(name))
            elif is_claim:  # the end of a visit, or another thread's renewal
                self.add("taken", kind, int(thread == main), 0)
            elif thread == main and path.endswith("/inputs.txt"):
                self.add("checked", kind, 1, call == "stat")
            elif thread == main and path.endswith("/digests.txt"):
                self.add("noted", kind)
            elif call == "openat" and path.endswith(EMBEDDINGS):
                self.add("read", "answered")
            elif call == "openat" and not path.endswith(("/stats.txt", "/digests.txt")):
                self.add("made", making, 1, 0)
            elif thread != main:
                is_first = path.endswith(name)
                self.add("absent" if is_first and "ENOENT" in arguments else "found", kind, 1, is_first)

    def add_visit(self, kind, calls):
        """Counts a visit to a unit, from the claim on, by its outcome."""
        is_made = any(call == "mkdir" for call, _ in calls)
        what = "taken" if calls[-1][0] != "unlink" else "made" if is_made else "done"
        self.add(what, kind, len(calls))

    def means(self):
        found = defaultdict(dict, {"renewed": RENEWED})
        for (what, kind), times in self.times.items():
            if what == "start":
                found[what] = self.operations[what, kind] // self.traces
            elif times:
                found[what][kind] = round(self.operations[what, kind] / times, 1)
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, help="its folder in the traces")
    parser.add_argument("photos", type=Path)
    parser.add_argument("plan", type=Path)
    parser.add_argument("traces", type=Path, nargs="+", metavar="TRACE")
    options = parser.parse_args()
    units = json.loads(options.plan.read_text())["units"]
    counted = Counted({unit["id"]: unit["arrow"] for unit in units})
    for trace in options.traces:
        counted.add_trace(trace, options.store.resolve(), options.photos.resolve())
    print(json.dumps({"operations": counted.means()}, indent=1))


if __name__ == "__main__":
    main()
