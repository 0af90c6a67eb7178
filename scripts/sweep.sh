#!/usr/bin/env bash
# Runs eval for one extractor after the other, in order of release, on one store, and prints one table.
# Usage: scripts/sweep.sh CONFIG [eval options, such as --set dataset=…]
set -euo pipefail
config=${1:?usage: scripts/sweep.sh CONFIG [eval options]}
shift
facepoison=${FACEPOISON:-$(dirname "$0")/../build/release/facepoison}
extractors=$("$facepoison" eval --config "$config" --dry-run --format csv "$@" |
  awk -F, 'NR > 1 && !seen[$1]++ {print $1}')
first=yes
for extractor in $extractors; do
  echo "sweep: $extractor" >&2
  table=$("$facepoison" eval --config "$config" --format csv "$@" --set "extractors=[\"$extractor\"]")
  if [[ $first == yes ]]; then echo "$table"; else tail -n +2 <<<"$table"; fi
  first=no
done
