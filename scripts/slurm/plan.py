#!/usr/bin/env python3
"""Reads the output of `eval --dry-run --format json`; prints the number of missing units, the seconds that they take,
and the number of units with unknown time, which count as a minute each."""
import json
import math
import sys

missing = [unit for unit in json.load(sys.stdin)["units"] if unit["arrow"] != "all" and not unit["stored"]]
known = [unit["seconds"] for unit in missing if unit["seconds"] is not None]
unknown = len(missing) - len(known)
print(len(missing), math.ceil(sum(known) + 60 * unknown), unknown)
