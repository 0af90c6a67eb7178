#!/usr/bin/env bash
# Makes the bundled recognisers (data/recognisers/) again: training people, fresh networks, training.
# After an interruption the same command continues; finished networks are not made again.
# Usage: scripts/train_recognisers.sh [FOLDER] [NAME ...]; default: models/trained, all recognisers small-* of
# configs/training and the two robust ones.
set -euo pipefail
cd "$(dirname "$0")/.."
output=${1:-models/trained}
shift || true
names=("$@")
((${#names[@]})) ||
  mapfile -t names < <(grep -L '"task"' configs/training/{small-*,robust-small-arcface,robust-pair-*}.json |
    xargs basename -s .json)
scripts/render_faces/run.sh --group training --people 0..239 --photos 12 --setting training -o data/training
for name in "${names[@]}"; do
  [[ $name != small-* || -f models/fresh/$name.json ]] || .venv/bin/python scripts/fresh_networks.py "$name"
  build/release/facepoison train --config "configs/training/$name.json" -o "$output"
done
