#!/usr/bin/env python3
"""The help texts in docs/reference/commands.md, taken from the program.

    scripts/commands.py write    puts the program's help texts into the page
    scripts/commands.py check    exits 1 where the page is not what `write` would make of it

A command's purpose and help text stand between two lines, which `write` does not change:

    <!-- help store gc -->
    <!-- end -->

The rest of the page is written by hand. Every command has its place; one that is missing, or that the program does not
have, is an error.
"""

import argparse
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/commands.md"
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
MARKER = re.compile(r"^<!-- help (.+?) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)


class Refused(Exception):
    """What the user can mend; its text says how."""


@functools.cache
def help_of(command, option="--help"):
    if not BINARY.exists():
        raise Refused(f"{BINARY} is not built: scripts/build.sh")
    done = subprocess.run([BINARY, *command.split(), option], capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return done.stdout


def help_texts(command=""):
    """The help text of each command. A command that has subcommands is represented by them."""
    text = help_of(command)
    _, _, list_of_subcommands = text.partition("\nSubcommands:\n")
    subcommands = re.findall(r"^  (\S+)", list_of_subcommands, re.MULTILINE)
    if not subcommands:
        return {command: text}
    return {name: text for one in subcommands for name, text in help_texts(f"{command} {one}".strip()).items()}


def block(command, text):
    purpose, _, rest = text.partition("\n")
    rest = "\n".join(line.rstrip() for line in rest.strip().splitlines())
    return f"<!-- help {command} -->\n\n{purpose[0].upper()}{purpose[1:]}.\n\n```text\n{rest}\n```\n\n<!-- end -->"


def rewritten(page):
    found = [match.group(1) for match in MARKER.finditer(page)]
    if len(found) != page.count("<!-- help ") or len(found) != len(set(found)):
        raise Refused("a <!-- help … --> without its <!-- end -->, or two of one command")
    texts = help_texts()
    if wrong := set(found) ^ set(texts):
        raise Refused(f"the program and the page do not have the same commands: {', '.join(sorted(wrong))}")
    return MARKER.sub(lambda match: block(match.group(1), texts[match.group(1)]), page)


def main(arguments=None, page=PAGE):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("write", help="put the program's help texts into the page")
    commands.add_parser("check", help="exit 1 where the page has other help texts")
    options = parser.parse_args(arguments)
    before = page.read_text()
    try:
        after = rewritten(before)
    except (Refused, OSError) as error:
        print(f"commands: {page.name}: {error}", file=sys.stderr)
        return 1
    if after == before:
        return 0
    if options.command == "write":
        page.write_text(after)
    print(f"commands: {page.name}: {'written' if options.command == 'write' else 'differs'}", file=sys.stderr)
    return int(options.command == "check")


if __name__ == "__main__":
    sys.exit(main())
