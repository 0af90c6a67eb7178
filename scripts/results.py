#!/usr/bin/env python3
"""The tables in the pages, made from the runs that they report.

    scripts/results.py add RUN STUDY   copies a run's table.csv, run.json, config.resolved.json to docs/results/STUDY/
    scripts/results.py write           makes the tables in README.md and docs/*.md again
    scripts/results.py check           exits 1 where a page is not what `write` would make of it

A table stands in a page between two lines:

    <!-- results STUDY rows=extractor,released across=attack classifier=nearest -->
    <!-- end -->

`rows` and `across` name columns of table.csv; a cell is a protection with its interval. of=NAME takes another table of
the run (rank, open-set, …), whose cells are what it has an interval of; value=COLUMN takes another number, which has
none. Every other word chooses among the rows: COLUMN=VALUE,VALUE. One table is one study, and so one commit on one
machine: there is no way to name two.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import re
import sys
import textwrap
from pathlib import Path

from outputs import WouldReplace, check_outputs

ROOT = Path(__file__).resolve().parent.parent
MARKER = re.compile(r"^<!-- results (\S+)([^\n]*?) *-->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
# What a table's interval is of.
MEASURED = {
    "protection": "protection",
    "rank": "share",
    "open-set": "share",
    "verification": "value",
    "detection": "recall",
    "displacement": "beyond",
    "threshold": "protection",
}
COUNTS = ("people", "n", "photos", "not_enrolled")
PATH = re.compile(r"""(?<![\w.:/])/(?:[^/\s"'(),;:]+/)+[^/\s"'(),;:]*""")


class Refused(Exception):
    """What the user can mend; its text says how."""


def results(root):
    return root / "docs" / "results"


def pages(root):
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def neutral(value, root):
    """A JSON value without this machine's folders: the project's paths start from it, others keep their last name."""
    if isinstance(value, dict):
        return {key: neutral(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [neutral(item, root) for item in value]
    if not isinstance(value, str):
        return value

    def short(path):
        path = Path(path)
        return str(path.relative_to(root)) if path.is_relative_to(root) else f"elsewhere/{path.name}"

    return short(value) if value.startswith("/") else PATH.sub(lambda found: short(found.group()), value)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def add(root, run, study):
    """Copies what a page needs of a run. run.json gets the table's hash, so that no row comes from another run."""
    missing = [name for name in ("table.csv", "run.json", "config.resolved.json") if not (run / name).exists()]
    if missing:
        raise Refused(f"{run} holds no finished run: no {', '.join(missing)}")
    if not re.fullmatch(r"\w[\w.-]*", study):
        raise Refused(f"{study!r} is no name of a study: letters, digits, - and _")
    facts = json.loads((run / "run.json").read_text())
    if absent := [key for key in ("date", "commit", "machine") if key not in facts]:
        raise Refused(f"{run}/run.json has no {', '.join(absent)}: run it again with today's facepoison")
    if facts["commit"].endswith("-dirty") or facts["commit"] == "unknown":
        raise Refused(
            f"{run} was made by the commit {facts['commit']}, which nobody can build again: commit, build, run"
        )
    table = (run / "table.csv").read_text()
    config = json.loads((run / "config.resolved.json").read_text())
    folder = results(root) / study
    names = ["table.csv", "run.json", "config.resolved.json", *(f"{name}.csv" for name in config.get("tables", []))]
    check_outputs([folder / name for name in names], [run / name for name in names], is_own=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.csv").write_text(table)
    others = {name: (run / f"{name}.csv").read_text() for name in config.get("tables", []) if name != "protection"}
    for name, text in others.items():
        (folder / f"{name}.csv").write_text(text)
    facts["table_sha256"] = sha256(table)
    if others:
        facts["tables_sha256"] = {name: sha256(text) for name, text in others.items()}
    for name, content in (("run.json", facts), ("config.resolved.json", config)):
        (folder / name).write_text(json.dumps(neutral(content, root), indent=1, ensure_ascii=False) + "\n")


def read_study(root, study, of="protection"):
    """Rows of the table, run.json, config.resolved.json."""
    folder = results(root) / study
    if not folder.is_dir():
        raise Refused(f"there is no {folder.relative_to(root)}: scripts/results.py add RUN {study}")
    path = folder / ("table.csv" if of == "protection" else f"{of}.csv")
    if of not in MEASURED or not path.exists():
        raise Refused(f"{folder.relative_to(root)} has no table {of!r} with an interval")
    table = path.read_text()
    run, config = (json.loads((folder / name).read_text()) for name in ("run.json", "config.resolved.json"))
    added = run["table_sha256"] if of == "protection" else run["tables_sha256"][of]
    if added != sha256(table):
        raise Refused(f"{path.relative_to(root)} is not the table that was added with its run.json")
    if neutral([run, config], root) != [run, config]:
        raise Refused(f"{folder.relative_to(root)} holds paths of a machine: scripts/results.py add takes them out")
    return list(csv.DictReader(io.StringIO(table))), run, config


def chosen(rows, words):
    """`rows` and `across` as lists of columns, and the rows that the other words leave."""
    wanted = {"rows": "extractor", "across": "attack", "of": "protection", "value": ""}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise Refused(f"{word!r} is no KEY=VALUE")
        if key in wanted:
            wanted[key] = value
            continue
        values = value.split(",")
        there = {row[key] for row in rows} if key in rows[0] else ()
        if strange := [value for value in values if value not in there]:
            raise Refused(f"{key}={strange[0]}: table.csv has no such row")
        rows = [row for row in rows if row[key] in values]
    down, across = wanted["rows"].split(","), wanted["across"]
    if strange := [name for name in [*down, across] if name not in rows[0]]:
        raise Refused(f"table.csv has no column {strange[0]}")
    return down, across, rows


def cell(row, measured, value):
    if value in COUNTS:
        return row[value]
    if value:
        return f"{float(row[value]):.3f}" if row[value] else ""
    if not row[measured]:  # of nobody
        return ""
    number, low, high = (float(row[name]) for name in (measured, "low", "high"))
    return f"{number:.2f} [{low:.2f}, {high:.2f}]" + ("\\*" if row.get("surrogate") == "yes" else "")


def the_same(rows, column):
    values = {row[column] for row in rows}
    if len(values) != 1:
        raise Refused(f"rows of different {column} cannot share a table: {', '.join(sorted(values))}")
    return values.pop()


def counted_people(rows, column):
    """One number; a range where a filter left some of the people out of the gallery, which the rows say themselves."""
    values = sorted({int(row[column]) for row in rows})
    if len(values) > 1 and any(row.get("not_enrolled", "0") != "0" for row in rows):
        return f"{values[0]} to {values[-1]}"
    return the_same(rows, column)


def markdown(rows, down, across, measured, value):
    columns = list(dict.fromkeys(row[across] for row in rows))
    lines = {}
    for row in rows:
        line = lines.setdefault(tuple(row[name] for name in down), {})
        if row[across] in line:
            raise Refused(
                f"two rows for one cell, {', '.join(row[name] for name in [*down, across])}: choose among them"
            )
        line[row[across]] = cell(row, measured, value)
    table = [[*down, *columns]] + [[*key, *(line.get(name, "") for name in columns)] for key, line in lines.items()]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(table[0]))]
    table.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(map(str.ljust, cells, widths))} |\n" for cells in table)


def made(root, page, study, words):
    options = dict(word.split("=", 1) for word in words.split() if word.startswith(("of=", "value=")))
    of, value = options.get("of", "protection"), options.get("value", "")
    rows, run, config = read_study(root, study, of)
    down, across, rows = chosen(rows, words.split())
    if value and value not in rows[0]:
        raise Refused(f"the table has no column {value}")
    judged = [row for row in rows if row["people"] != "0"]
    people = counted_people(judged, "people")
    probes = counted_people(judged, "n" if "n" in rows[0] else "photos")
    made_by = f"{run['date'][:10]}, commit {run['commit']}, {run['machine']}, {config['precision']}"
    counted = {"verification": "genuine pairs", "displacement": "photos", "detection": "photos"}.get(of, "probes")
    shown = value or f"{MEASURED[of] if of == 'protection' else of} [95 % interval]"
    facts = f"{made_by}; {people} people protected, {probes} {counted}; {shown}"
    if any(row.get("surrogate") == "yes" for row in rows) and not value:
        facts += "; \\* the attack optimised against this recogniser"
    facts += f"; [its files]({os.path.relpath(results(root) / study, page.parent)})."
    return (
        markdown(rows, down, across, MEASURED[of], value)
        + "\n"
        + textwrap.fill(facts, 120, break_long_words=False, break_on_hyphens=False)
        + "\n"
    )


def rewritten(root, page):
    text = page.read_text()
    begun = len(re.findall(r"^<!-- results ", text, re.MULTILINE))
    found = list(MARKER.finditer(text))
    if begun != len(found) or any("<!-- results " in match.group(3) for match in found):
        raise Refused("a <!-- results … --> without its <!-- end -->")

    def table(match):
        study, words, _ = match.groups()
        return f"<!-- results {study}{words} -->\n\n{made(root, page, study, words)}\n<!-- end -->"

    return MARKER.sub(table, text)


def pages_that_differ(root):
    for page in pages(root):
        try:
            text = rewritten(root, page)
        except Refused as error:
            raise Refused(f"{page.relative_to(root)}: {error}") from None
        if text != page.read_text():
            yield page, text


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="copy what a page needs of a run folder")
    adding.add_argument("run", type=Path, metavar="RUN")
    adding.add_argument("study", metavar="STUDY")
    commands.add_parser("write", help="make the pages' tables again")
    commands.add_parser("check", help="exit 1 where a page's table is not its study's")
    options = parser.parse_args(arguments)
    try:
        if options.command == "add":
            add(root, options.run, options.study)
            return 0
        different = list(pages_that_differ(root))
    except (Refused, WouldReplace) as error:
        print(f"results: {error}", file=sys.stderr)
        return 1
    for page, text in different:
        if options.command == "write":
            page.write_text(text)
        print(
            f"results: {page.relative_to(root)}: {'written' if options.command == 'write' else 'differs'}",
            file=sys.stderr,
        )
    return 1 if different and options.command == "check" else 0


if __name__ == "__main__":
    sys.exit(main())
