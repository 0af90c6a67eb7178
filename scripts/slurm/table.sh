#!/usr/bin/env bash
# The batch script that runs after the workers (see submit.sh): writes the run and prints its table, or says how many
# units are missing and which workers failed.
# Usage: table.sh LOGS CONFIG [eval options]
set -euo pipefail
logs=$1
shift
planned=$("$FACEPOISON" eval --config "$@" --dry-run --format json)
read -r units _ <<<"$("$FACEPOISON_SCRIPTS/plan.py" <<<"$planned")"
rm -f "$FACEPOISON_SHARED"
if ((units)); then
  echo "table: $units units are not in the store. Workers that failed:" >&2
  for log in "$logs"/worker-*.log; do
    grep -q 'all is in the store' "$log" || echo "  $log: $(grep -v '^$' "$log" | tail -n 1)" >&2
  done
  echo "table: the same submit.sh command continues from here" >&2
  exit 1
fi
exec "$FACEPOISON" eval --config "$@"
