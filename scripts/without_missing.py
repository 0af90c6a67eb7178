"""Reads `facepoison list extractors --format json` and prints what a config needs changed (KEY=VALUE lines for --set)
so that it runs with the recognisers that are there: the others are left out, as rows and as surrogates. Where none of them is
there, the small ones that ship with the program (data/recognisers) stand in."""
import json
import sys
from pathlib import Path

SMALL = "small-"
SURROGATE = "small-surrogate"
PRESETS = Path(__file__).resolve().parent.parent / "configs" / "attacks"


def read_preset(name):
    """The preset's keys, those of the preset that it builds on included."""
    own = json.loads((PRESETS / f"{name}.json").read_text())
    return {**read_preset(own["preset"]), **own} if "preset" in own else own


def with_surrogates(attack, present, fallback):
    """The attack as it is where its surrogates are there, else an object that names those that are, or the fallback."""
    given = attack if isinstance(attack, dict) else {"preset": attack}
    keys = {**read_preset(given["preset"]), **given}
    wanted = keys.get("surrogates", [])
    if "surrogates" not in given and not present.intersection(wanted):  # as the program does
        wanted = keys.get("stand_ins", wanted)
    if present.issuperset(wanted):
        return attack
    return {**given, "surrogates": [name for name in wanted if name in present] or [fallback]}


def settings(config, present):
    there = [name for name in config["extractors"] if name in present]
    missing = [name for name in config["extractors"] if name not in present]
    if not missing:
        return []
    print("quickstart: without", *missing, "(not fetched; scripts/fetch_models.py says why)", file=sys.stderr)
    if not there:
        there = sorted(name for name in present if name.startswith(SMALL))
        if not there:
            raise SystemExit("quickstart: no recogniser is here, so there is nothing to measure")
        print("quickstart: the small recognisers that ship stand in:", *there, file=sys.stderr)
    fallback = SURROGATE if SURROGATE in present else there[0]
    attacks = [with_surrogates(attack, present, fallback) for attack in config["attacks"]]
    return [f"extractors={json.dumps(there)}", f"attacks={json.dumps(attacks)}"]


def main():
    config = json.loads(Path(sys.argv[1]).read_text())
    rows = json.load(sys.stdin)["rows"]
    for line in settings(config, {row["name"] for row in rows if row["present"] == "yes"}):
        print(line)


if __name__ == "__main__":
    main()
