#!/usr/bin/env bash
# From nothing to the table: sets up, builds, fetches the recognisers, and runs the main job on the rendered people that
# ship with the project, or on a folder of photos.
# Usage: scripts/quickstart.sh [PHOTOS] [eval options]; PHOTOS is <person>/<photo>.jpg, at least two photos a person.
set -euo pipefail
photos=
if [[ $# -gt 0 && $1 != -* ]]; then
  photos=$1
  shift
  if [[ ! -d $photos ]]; then
    echo "quickstart: no such folder: $photos" >&2
    exit 2
  fi
  photos=$(realpath "$photos")
fi
cd "$(dirname "$0")/.."
scripts/setup.sh
scripts/build.sh
config=configs/experiments/quickstart.json
facepoison=build/release/facepoison
.venv/bin/python scripts/fetch_models.py >&2 || echo "quickstart: going on with the recognisers that are there" >&2

# A recogniser that could not be fetched is left out, as a row and as a surrogate.
changes=$("$facepoison" list extractors --format json | .venv/bin/python scripts/without_missing.py "$config")
settings=()
[[ -z $changes ]] || while IFS= read -r change; do settings+=(--set "$change"); done <<<"$changes"
[[ -z $photos ]] || settings+=(--set "dataset=$photos")
"$facepoison" eval --config "$config" "${settings[@]}" "$@"
