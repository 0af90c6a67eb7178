#!/usr/bin/env bash
# Trains the cloak detectors: the bundled one in data/cloak-detectors/, and those that docs/results/detection.md
# compares.
# After an interruption the same command continues; finished networks are not made again.
# Usage: scripts/train_cloak_detectors.sh [FOLDER] [NAME ...]; default: models/trained, small-cloak-detector and all of
# configs/training/detectors.
set -euo pipefail
cd "$(dirname "$0")/.."
output=${1:-models/trained}
shift || true
names=("$@")
((${#names[@]})) || mapfile -t names < <(basename -s .json configs/training/{small-cloak-detector,detectors/*}.json)
scripts/render_faces/run.sh --group training --people 0..119 --photos 12 --setting training -o data/training
.venv/bin/python scripts/fresh_networks.py textures high-frequency
.venv/bin/python scripts/fetch_models.py lite0
for name in "${names[@]}"; do
  config=configs/training/$name.json
  [[ -f $config ]] || config=configs/training/detectors/$name.json
  build/release/facepoison train --config "$config" -o "$output"
done
