#!/usr/bin/env bash
# Runs an experiment on a Slurm cluster: an array of workers fills one store, then a job writes the run and its table.
# Usage: scripts/slurm/submit.sh [OPTIONS] CONFIG [eval options] [-- sbatch options of the workers]
#   --workers MOST   largest number of workers (100)
#   --each SECONDS   amount of work for each worker (3600)
#   --wait           wait for the table, print it, end with its exit code
# Prints the ids of the jobs; see docs/start/cluster.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export FACEPOISON_SCRIPTS=$here
. "$here/../quiet.sh"
export FACEPOISON=${FACEPOISON:-$(realpath "$here/../../build/release/facepoison")}
most=100
each=3600
wait_for=()
while [[ ${1:-} == --* ]]; do
  case $1 in
    --workers) most=$2 && shift 2 ;;
    --each) each=$2 && shift 2 ;;
    --wait) wait_for=(--wait) && shift ;;
    *) say "unknown option $1; expected --workers, --each or --wait" && exit 2 ;;
  esac
done
for number in "$most" "$each"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || { say "found $number, expected a whole number of at least 1" && exit 2; }
done
(($#)) || { say "no config given; see the first lines of $0" && exit 2; }
config=$1
experiment=()
while (($#)) && [[ $1 != -- ]]; do
  experiment+=("$1") && shift
done
sbatch_options=("${@:2}")
command -v sbatch >/dev/null || { say "sbatch is not installed; run this on a login node of a cluster" && exit 3; }

plan() { # sets the number of missing units, the seconds that they take, and the number with unknown time
  local units_of_work
  units_of_work=$("$FACEPOISON" eval --config "${experiment[@]}" --dry-run --format json)
  read -r units seconds unknown <<<"$("$here/plan.py" <<<"$units_of_work")"
}
submit() { # submit NAME SBATCH-OPTIONS... -- SCRIPT ARGUMENTS...: prints the job's id
  local name=$1 options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1") && shift; done
  sbatch --parsable --job-name="facepoison-$name" --open-mode=append "${options[@]}" "$here/${@:2}" | cut -d';' -f1
}

plan
logs=$PWD/runs/$(basename "$config" .json)/slurm-$(date +%Y%m%d-%H%M%S)-$$
mkdir -p "$logs"
FACEPOISON_STORE=$(realpath -m "${FACEPOISON_STORE:-$here/../../store}")
export FACEPOISON_STORE
mkdir -p "$FACEPOISON_STORE"
# If a worker does not find this file, its store is another one of the same name, on its own node.
export FACEPOISON_SHARED=$FACEPOISON_STORE/.submitted-$(basename "$logs")
touch "$FACEPOISON_SHARED"
say "logs: $logs"

if ((unknown)); then
  say "the time of $unknown of $units units is not known: one worker measures it"
  submit calibrate --wait --output="$logs/calibrate.log" "${sbatch_options[@]}" -- \
    worker.sh "${FACEPOISON_CALIBRATION:-10m}" "${experiment[@]}" >&2 || true
  plan
fi
if ((!units)); then
  say "all is in the store"
  dependency=()
else
  largest=$(scontrol show config | sed -n 's/^MaxArraySize *= *//p')
  workers=$(((seconds + each - 1) / each))
  for bound in "$units" "$most" "${largest:-1001}"; do ((workers <= bound)) || workers=$bound; done
  ((workers)) || workers=1
  say "$units units, about $seconds s ($unknown of them counted as a minute each): $workers workers"
  array=$(submit worker --array="0-$((workers - 1))" --requeue --signal=B:USR1@120 --output="$logs/worker-%a.log" \
    "${sbatch_options[@]}" -- worker.sh 0 "${experiment[@]}")
  echo "workers: $array"
  dependency=(--dependency="afterany:$array")
fi
code=0
table=$(submit table "${dependency[@]}" "${wait_for[@]}" --output="$logs/table.log" -- \
  table.sh "$logs" "${experiment[@]}") || code=$?
echo "table: $table, in $logs/table.log"
((!${#wait_for[@]})) || cat "$logs/table.log"
exit "$code"
