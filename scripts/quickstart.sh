#!/usr/bin/env bash
# Makes the table from a fresh clone: sets up, builds, fetches the recognisers, and runs the main job on the bundled
# rendered people, or on a folder of photos. Then prints sentences on the table and writes a sheet of pictures and a
# page with figures.
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
. scripts/quiet.sh
say "the first time on two cores: about 2 minutes to set up, 5 to build, 1 to fetch recognisers, 6 for the table"
scripts/setup.sh
scripts/build.sh release facepoison
config=configs/experiments/quickstart.json
facepoison=build/release/facepoison
fetch_recognisers || say "continuing with the recognisers that are present"

# A recogniser that could not be fetched is left out, as a row and as a surrogate.
changes=$("$facepoison" list extractors --format json | .venv/bin/python scripts/without_missing.py "$config")
settings=()
[[ -z $changes ]] || while IFS= read -r change; do settings+=(--set "$change"); done <<<"$changes"
# bf16 halves the networks' time if the processor can multiply in it. Else it would take longer than fp32, in which
# LowKey alone takes half an hour.
if multiplies_in_bf16; then
  settings+=(--set precision=bf16)
elif ! command -v nvidia-smi >/dev/null; then
  settings+=(--set 'attacks=["none","noise","pgd","pgd-small"]')
  say "this processor cannot multiply in bf16: lowkey-lite0, half an hour on two cores, is left out; to run it, add" \
    "--set 'attacks=[\"none\",\"noise\",\"pgd\",\"pgd-small\",\"lowkey-lite0\"]'"
fi
[[ -z $photos ]] || settings+=(--set "dataset=$photos")
"$facepoison" eval --config "$config" "${settings[@]}" "$@"

# With these options the results are elsewhere, or nothing was run.
case " $* " in *" --run-dir"* | *" --dry-run "* | *" --help "* | *" -h "*) exit 0 ;; esac
run=runs/quickstart/latest
shared=()
for ((i = 1; i <= $#; ++i)); do
  case ${!i} in
    --set | --store) shared+=("${@:i:2}") ;;
    --set=* | --store=* | --trust-model) shared+=("${!i}") ;;
  esac
done
"$facepoison" --quiet show --config "$config" "${settings[@]}" "${shared[@]}" -o "$run/sheet.png"
# A page may be passed on, so photos of real people are not put into it.
pictures=()
[[ -n $photos ]] || pictures=(--pictures "$run/sheet.png")
echo >&2
"$facepoison" report "$run" "${pictures[@]}" -o "$run/report.html"
say "the pictures, original | perturbed | difference: $run/sheet.png"
say "the page, with figures: $run/report.html"
