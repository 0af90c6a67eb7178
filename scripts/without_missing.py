"""Reads `facepoison list extractors --format json` and prints what a config needs changed (KEY=VALUE lines for --set)
so that it runs with the recognisers that are there: the others are left out, as rows and as surrogates."""
import json
import sys
from pathlib import Path

PRESETS = Path(__file__).resolve().parent.parent / "configs" / "attacks"


def with_surrogates(preset, present, fallback):
    wanted = json.loads((PRESETS / f"{preset}.json").read_text()).get("surrogates")
    if wanted is None or present.issuperset(wanted):
        return preset
    return {"preset": preset, "surrogates": [name for name in wanted if name in present] or [fallback]}


def settings(config, present):
    there = [name for name in config["extractors"] if name in present]
    missing = [name for name in config["extractors"] if name not in present]
    if not there:
        raise SystemExit("quickstart: no recogniser could be fetched, so there is nothing to measure")
    if not missing:
        return []
    print("quickstart: without", *missing, file=sys.stderr)
    attacks = [with_surrogates(preset, present, there[0]) for preset in config["attacks"]]
    return [f"extractors={json.dumps(there)}", f"attacks={json.dumps(attacks)}"]


def main():
    config = json.loads(Path(sys.argv[1]).read_text())
    rows = json.load(sys.stdin)["rows"]
    for line in settings(config, {row["name"] for row in rows if row["present"] == "yes"}):
        print(line)


if __name__ == "__main__":
    main()
