#!/usr/bin/env python3
"""Draws the figures of a run, or of a study in docs/results/, for a paper or a page.

    scripts/figures.py RUN -o DIR [--format svg|pdf|png] [--theme light|dark]

`facepoison report RUN --figures` writes them as Vega-Lite specifications; vl-convert draws these without a browser.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
INK = {"light": "#1c2024", "dark": "#e4e7ea"}
# Texts for screen readers at every mark: several times as long as the drawing, and an <img> has one alt text.
SPOKEN = re.compile(r' (?:aria-\w+|role|class|pointer-events)="[^"]*"')
LONG_NUMBER = re.compile(r"(\d\.\d\d)\d+")


class Refused(Exception):
    """An error that the user can fix; its text says how."""


def specifications(run):
    """The specifications of a run's figures, by name."""
    if not BINARY.exists():
        raise Refused(f"{BINARY} is not built: scripts/build.sh")
    with tempfile.TemporaryDirectory() as folder:
        command = [BINARY, "--quiet", "report", run, "--figures", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Refused(done.stderr.strip())
        return {
            path.name.removesuffix(".vl.json"): json.loads(path.read_text())
            for path in sorted(Path(folder).glob("*.vl.json"))
        }


def in_theme(spec, theme):
    """The specification with the theme's ink instead of the page's."""
    return json.loads(json.dumps(spec).replace('"currentColor"', f'"{INK[theme]}"'))


def drawn(spec, form, theme="light"):
    """The figure's bytes as svg, pdf or png."""
    try:
        import vl_convert
    except ImportError:
        raise Refused("vl-convert-python is not installed: scripts/setup.sh") from None
    text = json.dumps(in_theme(spec, theme))
    if form == "png":
        return vl_convert.vegalite_to_png(text, scale=2)
    if form == "pdf":
        return vl_convert.vegalite_to_pdf(text)
    svg = SPOKEN.sub("", vl_convert.vegalite_to_svg(text))
    return LONG_NUMBER.sub(r"\1", svg).encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--format", choices=("svg", "pdf", "png"), default="svg")
    parser.add_argument("--theme", choices=tuple(INK), default="light", help="of the page that shows the figures")
    options = parser.parse_args()
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for name, spec in specifications(options.run).items():
            path = options.output / f"{name}.{options.format}"
            path.write_bytes(drawn(spec, options.format, options.theme))
            print(path)
    except Refused as error:
        print(f"figures: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
