"""Reads `facepoison list extractors --format json` and prints changes to a config (KEY=VALUE lines for --set) so that
it runs with the networks that are present. Missing recognisers are left out, as rows and as surrogates. If none is
present, the bundled small ones (data/recognisers) replace them."""
import json
import sys
from pathlib import Path

SHIPPED = ("small-", "robust-")  # name prefixes in data/recognisers
SURROGATE = "small-surrogate"
ROOT = Path(__file__).resolve().parent.parent
PRESETS = ROOT / "configs" / "attacks"
LITE0 = ROOT / "models" / "lite0.pt"


def read_preset(name):
    """The preset's keys, including those of the preset that it is based on."""
    own = json.loads((PRESETS / f"{name}.json").read_text())
    return {**read_preset(own["preset"]), **own} if "preset" in own else own


def with_surrogates(attack, present, fallback):
    """The attack unchanged if its surrogates are present, else an object with the present ones, or the fallback."""
    given = attack if isinstance(attack, dict) else {"preset": attack}
    keys = {**read_preset(given["preset"]), **given}
    wanted = keys.get("surrogates", [])
    if "surrogates" not in given and not present.intersection(wanted):  # as the program does
        wanted = keys.get("stand_ins", wanted)
    if present.issuperset(wanted):
        return attack
    return {**given, "surrogates": [name for name in wanted if name in present] or [fallback]}


def with_a_distance(attack):
    """Replaces lowkey-lite0 by LowKey with DSSIM, which needs no weights, if lite0's weights are missing."""
    return "lowkey-dssim" if attack == "lowkey-lite0" and not LITE0.exists() else attack


def settings(config, present):
    changed = [with_a_distance(attack) for attack in config["attacks"]]
    if changed == config["attacks"] and present.issuperset(config["extractors"]):
        return []
    if changed != config["attacks"]:
        print("quickstart: lowkey-dssim instead of lowkey-lite0 (lite0 was not fetched)", file=sys.stderr)
    there = [name for name in config["extractors"] if name in present]
    missing = [name for name in config["extractors"] if name not in present]
    if missing:
        print("quickstart: without", *missing, "(not fetched; scripts/fetch_models.py says why)", file=sys.stderr)
    if all(name.startswith(SHIPPED) for name in there):
        there = sorted(name for name in present if name.startswith(SHIPPED))
        if not there:
            raise SystemExit("quickstart: no recogniser is present, so there is nothing to measure")
        print("quickstart: the bundled small recognisers stand in:", *there, file=sys.stderr)
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
