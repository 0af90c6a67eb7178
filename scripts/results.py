#!/usr/bin/env python3
"""Makes the tables and figures in the pages from the runs that they report.

    scripts/results.py add RUN STUDY   copies a run's table.csv, run.json, config.resolved.json to docs/results/STUDY/
    scripts/results.py write           updates the tables and figures in README.md and in the pages below docs/
    scripts/results.py check           exits 1 if `write` would change a page or a figure

A table in a page is between two lines:

    <!-- results STUDY rows=extractor,released across=attack classifier=nearest -->
    <!-- end -->

The table is the matrix of `facepoison table`, with its options --rows, --across, --of and --value; every other word,
COLUMN=VALUE,VALUE, filters the rows, as --where does. A table comes from one study only, and so from one commit on one
machine.

A figure is between

    <!-- figure STUDY NAME -->
    <!-- end -->

where NAME is one of the files that `facepoison report docs/results/STUDY --figures` writes. It is drawn twice, for
light and dark pages, as docs/figures/STUDY-NAME.svg and …-dark.svg. Each file holds the sha256 of its specification;
`check` compares that, because fonts differ between machines.

A number in a sentence is followed by the row that it comes from:

    protection falls to 0.04<!-- of adaptive-lfw extractor=faceplugin attack=pgd classifier=nearest -->

The words choose one row, as above (quote values with spaces: attack="pgd, seen"); of several rows, pick=least or
pick=most takes the smallest or the largest number. value=COLUMN takes another column than protection, of=TABLE another
table. The number keeps its count of digits; before " %" it is multiplied by 100.
"""

import argparse
import csv
import hashlib
import html
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import figures
from outputs import WouldReplace, check_outputs

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
MARKER = re.compile(r"^<!-- results (\S+)([^\n]*?) *-->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"^<!-- figure (\S+) (\S+) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
CITED = re.compile(r"(-?)(\d*)(\.\d+)?( %)?<!-- of\s+(\S+)([^>]*?)\s*-->")
MOST_BYTES = 60_000  # of a figure
PATH = re.compile(r"""(?<![\w.:/])/(?:[^/\s"'(),;:]+/)+[^/\s"'(),;:]*""")


class Refused(Exception):
    """An error that the user can fix; its text says how."""


def results(root):
    return root / "docs" / "results"


def pages(root):
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def neutral(value, root):
    """A JSON value without this machine's folders: the project's paths become relative, others keep their last name."""
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


def without_names(root, config, tables):
    """The resolved config and the tables with "person 1" for a name: the repository names no real person."""
    if Path(config["dataset"]).is_relative_to(root / "data/rendered"):
        return config, tables
    numbers = {}

    def number(name):
        return name and numbers.setdefault(name, f"person {len(numbers) + 1}")

    drawn = {seed: [number(name) for name in names] for seed, names in config["protected"].items()}
    if "confusion" in tables:
        rows = list(csv.DictReader(StringIO(tables["confusion"])))
        out = StringIO()
        writer = csv.DictWriter(out, rows[0] if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"most": number(row["most"])} for row in rows)
        tables = tables | {"confusion": out.getvalue()}
    return config | {"protected": drawn}, tables


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def add(root, run, study):
    """Copies the files of a run that a page needs. run.json gets the table's hash, so no row is from another run."""
    missing = [name for name in ("table.csv", "run.json", "config.resolved.json") if not (run / name).exists()]
    if missing:
        raise Refused(f"{run} holds no finished run: it lacks {', '.join(missing)}")
    if not re.fullmatch(r"\w[\w.-]*", study):
        raise Refused(f"{study!r} is not a name for a study: use letters, digits, - and _")
    facts = json.loads((run / "run.json").read_text())
    if absent := [key for key in ("date", "commit", "machine") if key not in facts]:
        raise Refused(f"{run}/run.json has no {', '.join(absent)}: run it again with this facepoison")
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
    config, others = without_names(root, config, others)
    for name, text in others.items():
        (folder / f"{name}.csv").write_text(text)
    facts["table_sha256"] = sha256(table)
    if others:
        facts["tables_sha256"] = {name: sha256(text) for name, text in others.items()}
    for name, content in (("run.json", facts), ("config.resolved.json", config)):
        (folder / name).write_text(json.dumps(neutral(content, root), indent=1, ensure_ascii=False) + "\n")


def read_study(root, study, of="protection"):
    """The table's file, run.json, config.resolved.json."""
    folder = results(root) / study
    if not folder.is_dir():
        raise Refused(f"there is no {folder.relative_to(root)}: scripts/results.py add RUN {study}")
    path = folder / ("table.csv" if of == "protection" else f"{of}.csv")
    if not path.exists():
        raise Refused(f"{folder.relative_to(root)} has no table {of!r}")
    table = path.read_text()
    run, config = (json.loads((folder / name).read_text()) for name in ("run.json", "config.resolved.json"))
    added = run["table_sha256"] if of == "protection" else run["tables_sha256"][of]
    if added != sha256(table):
        raise Refused(f"{path.relative_to(root)} is not the table that was added with its run.json")
    if neutral([run, config], root) != [run, config]:
        raise Refused(f"{folder.relative_to(root)} holds paths of a machine: scripts/results.py add takes them out")
    return path, run, config


def cited(root, match):
    """The number of the row that the comment names, with as many digits as the page has now."""
    _, whole, decimals, percent, study, words = match.groups()
    words = dict(word.split("=", 1) if "=" in word else (word, "") for word in shlex.split(words))
    of, value, pick = words.pop("of", "protection"), words.pop("value", None), words.pop("pick", None)
    with open(read_study(root, study, of)[0], newline="") as file:
        rows = list(csv.DictReader(file))
    value = value or ("protection" if "protection" in rows[0] else "share")
    if unknown := [name for name in (value, *words) if name not in rows[0]]:
        raise Refused(f"{match.group()!r}: {study} has no column {unknown[0]!r}")
    cells = [row[value] for row in rows if all(row[name] == found for name, found in words.items())]
    numbers = [float(cell) for cell in cells if cell]
    if not numbers or len(numbers) > 1 and pick not in ("least", "most"):
        raise Refused(f"{match.group()!r}: {len(numbers)} rows; one is needed, or use pick=least or pick=most")
    number = (max if pick == "most" else min)(numbers) * (100 if percent else 1)
    text = f"{number:.{len(decimals or '.') - 1}f}"
    if not whole:
        text = re.sub(r"^(-?)0\.", r"\1.", text)
    return f"{text}{percent or ''}{match.group()[match.group().index('<!-- of'):]}"


def arguments_of(words):
    """A mark's words as options of `facepoison table`."""
    options = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise Refused(f"{word!r} is not KEY=VALUE")
        if key in ("rows", "across", "of", "value"):
            options += [f"--{key}={value}"]
        else:
            options += [f"--where={key}={one}" for one in value.split(",")]
    return options if any(option.startswith("--rows=") for option in options) else [*options, "--rows=extractor"]


def made(root, page, study, words):
    words = words.split()
    of = next((word[3:] for word in words if word.startswith("of=")), "protection")
    path, run, config = read_study(root, study, of)
    if not BINARY.exists():
        raise Refused(f"{BINARY} is not built: scripts/build.sh")
    done = subprocess.run([BINARY, "table", path, *arguments_of(words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    table, _, notes = done.stdout.partition("\n\n")
    said = [note.removeprefix("- ") for note in reversed(notes.splitlines())]  # the people, and what the cells are
    made_by = f"{run['date'][:10]}, commit {run['commit']}, {run['machine']}, {config['precision']}"
    files = f"[its files]({os.path.relpath(results(root) / study, page.parent)})."
    command = [f"`{run['command']}`"] if "command" in run else []  # runs before 0.2.0 do not have it
    facts = "; ".join([made_by, *command, *said, files])
    facts = textwrap.fill(facts, 120, break_long_words=False, break_on_hyphens=False)
    return f"{table}\n\n{facts}\n"


def rewritten(root, page):
    text = CITED.sub(lambda match: cited(root, match), page.read_text())
    begun = len(re.findall(r"^<!-- results ", text, re.MULTILINE))
    found = list(MARKER.finditer(text))
    if begun != len(found) or any("<!-- results " in match.group(3) for match in found):
        raise Refused("a <!-- results … --> without its <!-- end -->")

    def table(match):
        study, words, _ = match.groups()
        return f"<!-- results {study}{words} -->\n\n{made(root, page, study, words)}\n<!-- end -->"

    with ThreadPoolExecutor() as workers:  # each starts a program
        tables = iter(list(workers.map(table, found)))
    return MARKER.sub(lambda match: next(tables), text)


class Drawing:
    """A figure of a page: its specification, and its two files."""

    def __init__(self, root, study, name):
        read_study(root, study)
        specs = figures.specifications(results(root) / study)
        if name not in specs:
            raise Refused(f"{study} has no figure {name!r}; it has {', '.join(specs)}")
        self.spec = specs[name]
        self.sum = f"<!-- of the specification {sha256(json.dumps(self.spec, sort_keys=True))} -->"
        folder = root / "docs" / "figures"
        self.files = {theme: folder / f"{study}-{name}{end}.svg" for theme, end in (("light", ""), ("dark", "-dark"))}

    def is_drawn(self):
        return all(path.exists() and path.read_text().startswith(self.sum) for path in self.files.values())

    def draw(self):
        for theme, path in self.files.items():
            svg = f"{self.sum}\n{figures.drawn(self.spec, 'svg', theme).decode()}\n"
            if len(svg) > MOST_BYTES:
                raise Refused(f"{path.name} would have {len(svg)} bytes, more than {MOST_BYTES}")
            path.parent.mkdir(exist_ok=True)
            path.write_text(svg)

    def html(self, page):
        light, dark = (os.path.relpath(self.files[theme], page.parent) for theme in ("light", "dark"))
        alt = html.escape(self.spec["description"])
        return (
            f'<picture>\n<source media="(prefers-color-scheme: dark)" srcset="{dark}">\n'
            f'<img alt="{alt}" src="{light}">\n</picture>\n'
        )


def with_figures(root, page, text):
    """The page's text with its figures, and the figures that must be drawn again."""
    if any("<!--" in match.group(3) for match in FIGURE.finditer(text)):
        raise Refused("a <!-- figure … --> without its <!-- end -->")
    drawings = {match.groups()[:2]: Drawing(root, *match.groups()[:2]) for match in FIGURE.finditer(text)}

    def mark(match):
        study, name, _ = match.groups()
        return f"<!-- figure {study} {name} -->\n\n{drawings[study, name].html(page)}\n<!-- end -->"

    return FIGURE.sub(mark, text), [one for one in drawings.values() if not one.is_drawn()]


def pages_that_differ(root):
    """Each outdated page: its path, its new text, its figures that must be drawn again."""
    for page in pages(root):
        try:
            text, undrawn = with_figures(root, page, rewritten(root, page))
        except (Refused, figures.Refused) as error:
            raise Refused(f"{page.relative_to(root)}: {error}") from None
        if undrawn or text != page.read_text():
            yield page, text, undrawn


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="copy the files of a run folder that pages need")
    adding.add_argument("run", type=Path, metavar="RUN")
    adding.add_argument("study", metavar="STUDY")
    commands.add_parser("write", help="update the pages' tables")
    commands.add_parser("check", help="exit 1 if a page's table differs from its study")
    options = parser.parse_args(arguments)
    try:
        if options.command == "add":
            add(root, options.run, options.study)
            return 0
        different = list(pages_that_differ(root))
        for page, text, undrawn in different if options.command == "write" else []:
            page.write_text(text)
            for drawing in undrawn:
                drawing.draw()
    except (Refused, figures.Refused, WouldReplace) as error:
        print(f"results: {error}", file=sys.stderr)
        return 1
    for page, _, _ in different:
        print(
            f"results: {page.relative_to(root)}: {'written' if options.command == 'write' else 'differs'}",
            file=sys.stderr,
        )
    return 1 if different and options.command == "check" else 0


if __name__ == "__main__":
    sys.exit(main())
