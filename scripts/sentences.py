"""Says in three sentences what the table of a run folder says.

    facepoison table RUN --against attack=none --format csv | scripts/sentences.py RUN

Without rows on stdin the third says nothing of differences."""

import csv
import json
import sys
import textwrap
from pathlib import Path


def number(row):
    return float(row["protection"])


def with_interval(row, column="protection"):
    return f"{float(row[column]):.2f} [{float(row['low']):.2f}, {float(row['high']):.2f}]"


def listed(words):
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def at_most_and_least(rows):
    return max(rows, key=number), min(rows, key=number)


def on_clean_photos(clean):
    worst, best = at_most_and_least(list(clean.values()))
    people, probes = worst["people"], worst["n"]
    known = [f"{100 * (1 - number(row)):.0f} %" for row in (worst, best)]
    share = (
        known[0] if known[0] == known[1] else f"{known[0]} ({worst['extractor']}) to {known[1]} ({best['extractor']})"
    )
    return f"Of clean photos the recognisers know {share}: {people} protected people, {probes} probes."


def of_attack(name, rows, clean):
    """How an attack does against what it optimises against, and how far it carries."""
    seen = [row for row in rows if row["surrogate"] == "yes"]
    unseen = [row for row in rows if row["surrogate"] == "no"]
    parts = []
    if seen:
        parts.append(
            "gives "
            + listed([f"{number(row):.2f} against {row['extractor']}" for row in seen])
            + ", which it optimises against"
        )
    if unseen:
        most, least = at_most_and_least(unseen)

        def against(row):
            before = f", clean {number(clean[row['extractor']]):.2f}" if row["extractor"] in clean else ""
            return f"{row['extractor']} ({with_interval(row)}{before})"

        never = "of recognisers that it never saw " if seen else "never saw any of these recognisers; "
        if len(unseen) == 1:
            parts.append(f"{'of recognisers that it never saw ' if seen else ''}it carries to {against(most)}")
        else:
            parts.append(f"{never}it carries furthest to {against(most)}, least to {against(least)}")
    return f"{name} {', and '.join(parts)}"


def of_attacks(attacks, clean):
    if not attacks:
        return "No attack in this run optimises against a recogniser."
    return "; ".join(of_attack(name, rows, clean) for name, rows in attacks.items()) + "."


def of_noise(rows, differences):
    """What random signs do, and what so few people can say of it."""
    wide = max(float(row["high"]) - float(row["low"]) for row in rows)
    few = f"with {rows[0]['people']} people an interval is up to {wide:.2f} wide"
    noise = [row for row in rows if row["attack"] == "noise"]
    if not noise:
        return f"What the intervals let one say: {few}."
    most, least = at_most_and_least(noise)
    does = f"Noise gives {number(least):.2f} ({least['extractor']}) to {number(most):.2f} ({most['extractor']})"
    off = [row for row in differences if row["reading"] in ("above 0", "below 0")]
    if not differences:
        return f"{does}; {few}."
    count = f"{len(differences) - len(off)} of {len(differences)} recognisers"
    holds = f"of its difference from clean photos the interval includes 0 against {count}"
    if off:
        holds += " (not " + listed([f"{row['extractor']}: {with_interval(row, 'difference')}" for row in off]) + ")"
    return f"{does}; {holds}; {few}."


def sentences(rows, optimising, differences):
    """Of table.csv's rows. `optimising` names the attacks that have surrogates, whether or not those are rows;
    `differences` are the rows of `table --against attack=none`, or none."""
    classifier = rows[0]["classifier"]
    rows = [row for row in rows if row["classifier"] == classifier]
    told = ("above 0", "below 0", "the interval includes 0")  # else too few people, or nobody
    differences = [
        row
        for row in differences
        if row["classifier"] == classifier and row["attack"] == "noise" and row["reading"] in told
    ]
    clean = {row["extractor"]: row for row in rows if row["attack"] == "none"}
    attacks = {}
    for row in rows:
        if row["attack"] in optimising:
            attacks.setdefault(row["attack"], []).append(row)
    first = on_clean_photos(clean) if clean else 'No clean photos were measured: the list of attacks has no "none".'
    return [first, of_attacks(attacks, clean), of_noise(rows, differences)]


def main():
    run = Path(sys.argv[1])
    with open(run / "table.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["protection"]]
    if not rows:
        print("No row of this run has anybody who is protected.")
        return
    config = json.loads((run / "config.resolved.json").read_text())
    optimising = [attack["name"] for attack in config["attacks"] if any(part["surrogates"] for part in attack["parts"])]
    for sentence in sentences(rows, optimising, list(csv.DictReader(sys.stdin))):
        print(textwrap.fill(sentence, 120, break_long_words=False, break_on_hyphens=False))


if __name__ == "__main__":
    main()
