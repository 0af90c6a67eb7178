#!/usr/bin/env python3
"""Reads what `eval --dry-run --format json` prints; prints how many units are to be made, how many seconds they take,
and of how many that is not known. Those are taken to take a minute."""
import json
import math
import sys

missing = [unit for unit in json.load(sys.stdin)["units"] if unit["arrow"] != "all" and not unit["stored"]]
known = [unit["seconds"] for unit in missing if unit["seconds"] is not None]
unknown = len(missing) - len(known)
print(len(missing), math.ceil(sum(known) + 60 * unknown), unknown)
