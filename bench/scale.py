#!/usr/bin/env python3
"""Simulates how long many workers take for an experiment that they share: hours, speed-up, and what they wait for.

    facepoison eval --config X.json --dry-run --format json -o plan.json
    .venv/bin/python bench/scale.py plan.json --costs costs.json [--workers 1,16,256] [--ms 1,3,10] [--server 5000]

A worker does what share() and Executor do (src/core/executor.cpp): it goes through the stages, inputs first; looks
which units are there; begins at I/N of the missing ones; claims a batch, and the next one before it computes; skips
units that others hold. It comes back at once if it made something, else after .1 to 10 seconds. It skips a stage until
it has seen all its inputs. Workers are equally fast and none fails.

COSTS is JSON, each entry a number or one number per kind: "operations" of the file system, each `ms` long, counted by
bench/operations.py; "seconds" of a unit (or a list, one for each stage of the kind), which override the plan's; "fixed"
seconds of a worker for each stage of which it makes something; "batch", the units that are claimed at once (1).

--server limits the file system to so many operations a second, in the order of arrival. Speed-up is against one worker.
Idle is the time of pauses and after a worker's end, metadata is the wait for the file system, as shares of all workers'
hours.
"""
import argparse
import heapq
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHORTEST, LONGEST = 0.1, 10.0  # pauses, seconds
RENEWED_EVERY = 10.0  # seconds
ONLY_INPUTS = {"embedded", "prepared"}  # kinds that share() runs only as inputs of others
COLUMNS = ["workers", "ms", "server", "hours", "speed-up", "idle %", "metadata %", "operations (millions)"]


@dataclass
class Stage:
    kind: str
    seconds: np.ndarray  # of each unit that is missing
    inputs: list  # numbers of stages
    fixed: float
    batch: int
    is_claimed: np.ndarray = None  # the state that all workers share
    done_at: np.ndarray = None


def by_kind(table, kind, default=0):
    """An entry of COSTS: a number, or one per kind."""
    return table.get(kind, default) if isinstance(table, dict) else table


def runs_of(units, groups):
    """The plan's stages: units of one kind that need the same groups, one after the other."""
    runs, before = [], None
    for unit in units:
        if unit["id"] in groups:
            continue
        kind = unit["arrow"], groups.keys() & unit["needs"]
        if kind != before:
            runs.append([])
        runs[-1].append(unit)
        before = kind
    return runs


def read_stages(units, costs):
    members = {unit["id"]: unit["needs"] for unit in units if unit["arrow"] == "all"}  # groups make nothing
    runs, stages, made_by, before = runs_of(units, members), [], {}, {}
    for number, run in enumerate(runs):
        kind = run[0]["arrow"]
        place = before[kind] = before.get(kind, -1) + 1  # among the stages of its kind
        own = costs.get("seconds", {}).get(kind)
        own = own[place] if isinstance(own, list) else own
        seconds = [unit["seconds"] if own is None else own for unit in run if not unit["stored"]]
        if None in seconds:
            raise SystemExit(f"scale: neither the plan nor the costs say how many seconds a unit {kind} takes")
        needs = {name for unit in run for need in unit["needs"] for name in members.get(need, [need])}
        inputs = sorted({made_by[name] for name in needs if name in made_by})
        fixed, batch = by_kind(costs.get("fixed", 0), kind), by_kind(costs.get("batch", 1), kind, 1)
        stages.append(Stage(kind, np.array(seconds, float), inputs, fixed, batch))
        made_by |= {unit["id"]: number for unit in run}
    return stages


class Worker:
    """One process, as generators that yield (operations, seconds, operations in the background). The caller that
    resumes them sets `now`."""

    def __init__(self, stages, operations, start, threads):
        self.stages, self.operations, self.start, self.threads = stages, operations, start, threads
        self.now = self.paused = 0.0
        self.seen = [None] * len(stages)  # for each visited stage: which units are known to be there
        self.noted = [0] * len(stages)  # units with known content
        self.has_run, self.has_read = set(), set()
        self.made = 0

    def cost(self, name, kind=""):
        return by_kind(self.operations.get(name, 0), kind)

    def in_threads(self, operations):
        return operations / self.threads, 0, operations * (1 - 1 / self.threads)

    def share(self):
        yield self.in_threads(self.cost("start"))
        wanted = [n for n, stage in enumerate(self.stages) if stage.kind not in ONLY_INPUTS]
        pause = SHORTEST
        while wanted:
            made, left, still = self.made, set(), []
            for number in wanted:
                if not (yield from self.run(number, left)):
                    still.append(number)
            wanted = still
            if self.made > made:
                pause = SHORTEST
            elif wanted:
                self.paused += pause
                yield 0, pause, 0
                pause = min(2 * pause, LONGEST)

    def run(self, number, left):
        """Executor::run(): returns whether the whole stage is there."""
        if number in self.has_run:
            return True
        if number in left:
            return False
        left.add(number)
        stage = self.stages[number]
        yield from self.look(number)
        if not self.seen[number].all():
            is_ready = True
            for one in stage.inputs:
                is_ready = (yield from self.run(one, left)) and is_ready
            if not is_ready:
                return False
            for one in stage.inputs:
                yield from self.note(one)
            yield self.cost("checked", stage.kind) * int(self.seen[number].sum()), 0, 0
            yield from self.make(number)
        if not self.seen[number].all():
            return False
        self.has_run.add(number)
        left.discard(number)
        return True

    def look(self, number):
        if self.seen[number] is not None:
            return
        stage = self.stages[number]
        for one in stage.inputs:
            yield from self.look(one)
            yield from self.note(one)
        self.seen[number] = there = stage.done_at <= self.now
        found = int(there.sum())
        yield self.in_threads(self.cost("found", stage.kind) * found + self.cost("absent") * (len(there) - found))
        yield self.cost("checked", stage.kind) * found, 0, 0

    def note(self, number):
        """Reads the digests of each new unit, once."""
        new = int(self.seen[number].sum()) - self.noted[number]
        self.noted[number] += new
        yield self.cost("noted") * new, 0, 0

    def make(self, number):
        stage, seen = self.stages[number], self.seen[number]
        missing = np.flatnonzero(~seen)
        todo = np.roll(missing, -int(self.start * len(missing)))
        place, ahead = yield from self.claim(number, todo, 0)
        is_first = True
        while ahead:
            batch = ahead
            if is_first:
                yield from self.read_inputs(stage)
            place, ahead = yield from self.claim(number, todo, place)
            seconds = float(stage.seconds[batch].sum()) + stage.fixed * is_first
            renewals = (len(batch) + len(ahead)) * seconds / RENEWED_EVERY
            yield 0, seconds, self.cost("renewed") * renewals
            yield self.cost("made", stage.kind) * len(batch), 0, 0
            stage.done_at[batch], seen[batch] = self.now, True
            self.made += len(batch)
            is_first = False

    def read_inputs(self, stage):
        for one in set(stage.inputs) - self.has_read:
            self.has_read.add(one)
            yield self.cost("read", stage.kind) * len(self.seen[one]), 0, 0

    def claim(self, number, todo, place):
        """Visits units until it has claimed a batch. Returns the next place in `todo`, and the units."""
        stage, seen, mine = self.stages[number], self.seen[number], []
        while place < len(todo) and len(mine) < stage.batch:
            rest = todo[place : place + 256]
            free = ~stage.is_claimed[rest]
            if free[0]:  # the claim's operations are among those of "made"
                some = rest[: stage.batch - len(mine)]
                some = some[np.logical_and.accumulate(free[: len(some)])]
                stage.is_claimed[some] = True
                mine += some.tolist()
                place += len(some)
                continue
            others = rest[: int(free.argmax()) or len(rest)]
            done = stage.done_at[others] <= self.now
            seen[others[done]] = True
            count = int(done.sum())
            place += len(others)
            held = len(others) - count
            yield count * self.cost("found", stage.kind) + held * self.cost("taken", stage.kind), 0, 0
        return place, mine


def simulate(stages, operations, workers, latency, server=0.0, threads=2):
    """Runs so many workers: hours, shares of time, operations."""
    for stage in stages:
        stage.is_claimed = np.zeros(len(stage.seconds), bool)
        stage.done_at = np.full(len(stage.seconds), np.inf)
    crew = [Worker(stages, operations, n / workers, threads) for n in range(workers)]
    lives = [worker.share() for worker in crew]
    queue = [(0.0, n) for n in range(workers)]
    total = metadata = free_at = 0.0  # free_at: when the server has answered everything
    ends = [0.0] * workers
    while queue:
        now, n = heapq.heappop(queue)
        crew[n].now = ends[n] = now
        asked = seconds = 0
        while not asked and not seconds:  # steps without time skip the queue
            try:
                asked, seconds, behind = next(lives[n])
            except StopIteration:
                break
        else:
            answered = now + asked * latency
            if server:
                free_at = max(free_at, now) + (asked + behind) / server
                answered = max(answered, free_at) if asked else answered
            total += asked + behind
            metadata += answered - now
            heapq.heappush(queue, (answered + seconds, n))
    last = max(ends)
    idle = sum(worker.paused + last - end for worker, end in zip(crew, ends))
    return {"hours": last / 3600, "idle": idle / last / workers, "metadata": metadata / last / workers, "total": total}


def rows_of(stages, options, operations):
    for ms in options.ms:
        for server in options.server:
            alone = simulate(stages, operations, 1, ms / 1000, server, options.threads)
            for n in options.workers:
                found = simulate(stages, operations, n, ms / 1000, server, options.threads) if n > 1 else alone
                hours, total = found["hours"], found["total"] / 1e6
                shares = [f"{100 * found[name]:.1f}" for name in ("idle", "metadata")]
                speed_up = f"{alone['hours'] / hours:.1f}"
                limit = f"{server:g}" if server else "any"
                yield [str(n), f"{ms:g}", limit, f"{hours:.2f}", speed_up, *shares, f"{total:.2f}"]


def numbers(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--costs", type=Path, required=True)
    parser.add_argument("--workers", type=numbers(int), default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--ms", type=numbers(float), default=[1, 3, 10], help="time of an operation")
    parser.add_argument("--server", type=numbers(float), default=[0], help="most operations a second; 0: no limit")
    parser.add_argument("--threads", type=int, default=2, help="of a worker, to look for units")
    parser.add_argument("--format", choices=["md", "csv"], default="md")
    options = parser.parse_args()
    costs = json.loads(options.costs.read_text())
    stages = read_stages(json.loads(options.plan.read_text())["units"], costs)
    begin, between, end = ("", ",", "") if options.format == "csv" else ("| ", " | ", " |")
    print(begin + between.join(COLUMNS) + end + (f"\n|{'---|' * len(COLUMNS)}" if begin else ""))
    for row in rows_of(stages, options, costs["operations"]):
        print(begin + between.join(row) + end, flush=True)


if __name__ == "__main__":
    main()
