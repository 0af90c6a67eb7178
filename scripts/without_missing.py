"""Reads `facepoison list extractors --format json` and prints what a config needs changed (KEY=VALUE lines for --set)
so that it runs with the networks that are there: other recognisers are left out, as rows and as surrogates. Where none
of them is there, the small ones that ship with the program (data/recognisers) stand in."""
import json
import sys
from pathlib import Path

SHIPPED = ("small-", "robust-")  # how the names of those in data/recognisers begin
SURROGATE = "small-surrogate"
ROOT = Path(__file__).resolve().parent.parent
PRESETS = ROOT / "configs" / "attacks"
LITE0 = ROOT / "models" / "lite0.pt"


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


def with_a_distance(attack):
    """LowKey with DSSIM, which needs no weights, where those of the nearer stand-in for LPIPS are not here."""
    return "lowkey-dssim" if attack == "lowkey-lite0" and not LITE0.exists() else attack


def settings(config, present):
    changed = [with_a_distance(attack) for attack in config["attacks"]]
    if changed == config["attacks"] and present.issuperset(config["extractors"]):
        return []
    if changed != config["attacks"]:
        print("quickstart: lowkey-dssim in the place of lowkey-lite0 (lite0 was not fetched)", file=sys.stderr)
    there = [name for name in config["extractors"] if name in present]
    missing = [name for name in config["extractors"] if name not in present]
    if missing:
        print("quickstart: without", *missing, "(not fetched; scripts/fetch_models.py says why)", file=sys.stderr)
    if all(name.startswith(SHIPPED) for name in there):
        there = sorted(name for name in present if name.startswith(SHIPPED))
        if not there:
            raise SystemExit("quickstart: no recogniser is here, so there is nothing to measure")
        print("quickstart: the small recognisers that ship stand in:", *there, file=sys.stderr)
    fallback = SURROGATE if SURROGATE in present else there[0]
    attacks = [with_surrogates(attack, present, fallback) for attack in changed]
    return [f"extractors={json.dumps(there)}", f"attacks={json.dumps(attacks)}"]


def main():
    config = json.loads(Path(sys.argv[1]).read_text())
    rows = json.load(sys.stdin)["rows"]
    for line in settings(config, {row["name"] for row in rows if row["present"] == "yes"}):
        print(line)


if __name__ == "__main__":
    main()
