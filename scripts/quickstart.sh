#!/usr/bin/env bash
# From nothing to the table: sets up, builds, fetches the recognisers, and runs the main job on a folder of photos.
# Usage: scripts/quickstart.sh PHOTOS [eval options]; PHOTOS is <person>/<photo>.jpg, at least two photos a person.
set -euo pipefail
photos=${1:-}
if [[ -n $photos && ! -d $photos ]]; then
  echo "quickstart: no such folder: $photos" >&2
  exit 2
fi
[[ -z $photos ]] || photos=$(realpath "$photos")
cd "$(dirname "$0")/.."
scripts/setup.sh
scripts/build.sh
.venv/bin/python scripts/fetch_models.py >&2
if [[ -z $photos ]]; then
  cat >&2 <<'TEXT'
quickstart: everything is built and build/release/facepoison works, but there are no faces to run on: none ship with the
project yet. Name a folder of photos, one subfolder a person with at least two photos of that person:
    scripts/quickstart.sh PHOTOS
FaceScrub (ask its authors, vintage.winklerbros.net/facescrub.html, for the list of addresses), LFW, or your own photos will do.
TEXT
  exit 0
fi
shift
build/release/facepoison eval --config configs/experiments/quickstart.json --set "dataset=$photos" "$@"
