#!/usr/bin/env bash
# Fuzzes all readers of foreign files (tests/fuzz/) under the address and undefined-behaviour sanitizers.
# Usage: scripts/fuzz.sh SECONDS [READER ...], SECONDS for each of the readers (default: all of them); needs
# scripts/setup.sh once. A reader may return or refuse its input; anything else is a find: its input is kept in
# build/fuzz/finds, and the exit code is 1. The corpus stays in build/fuzz/corpus for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/quiet.sh
if [[ ! ${1:-} =~ ^[1-9][0-9]*$ ]]; then
  say "found \"${1:-}\", expected a number of seconds for each reader"
  exit 2
fi
seconds=$1
shift
known=" $(basename -s .cpp tests/fuzz/*.cpp | xargs) "
for reader in "$@"; do
  [[ $known == *" $reader "* ]] || { say "no reader \"$reader\"; there are${known% }"; exit 2; }
done
build=${FACEPOISON_FUZZ_BUILD:-build/fuzz}
mkdir -p "$build"
build=$(cd "$build" && pwd)
need_clang "$build/setup.log"
say "building the fuzzers (log: $build/build.log)"
: >"$build/build.log"
quietly "$build/build.log" cmake --preset fuzz -B "$build"
quietly "$build/build.log" cmake --build "$build" --target fuzzers
.venv/bin/python tests/fuzz/seeds.py "$build/seeds"

# The readers' files are in memory if possible.
work=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$work"' EXIT
export ASAN_OPTIONS=detect_container_overflow=0 UBSAN_OPTIONS=print_stacktrace=1 FACEPOISON_HOME=$PWD TMPDIR=$work

# Runs one reader for its seconds; prints how many inputs it took.
fuzz() {
  local log=$build/$1.log corpus=$build/corpus/$1 longest=20000 inputs
  [[ $1 == picture ]] || longest=4000
  mkdir -p "$corpus" "$build/finds"
  if "$build/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -max_len="$longest" -timeout=20 -rss_limit_mb=3000 \
    -print_final_stats=1 -artifact_prefix="$build/finds/$1-" "$corpus" "$build/seeds/$1" >"$log" 2>&1; then
    inputs=$(sed -n 's/stat::number_of_executed_units: *//p' "$log")
    say "$1: $inputs inputs, no find"
  else
    say "$1: A FIND, $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1); the end of $log:"
    grep -m 1 -A 12 -E 'ERROR: |runtime error: |terminate called' "$log" >&2 || tail -n 12 "$log" >&2
    return 1
  fi
}

# Two at a time.
readers=("$@")
((${#readers[@]})) || read -ra readers <<<"$known"
failed=0
for reader in "${readers[@]}"; do
  while (($(jobs -rp | wc -l) >= ${FACEPOISON_FUZZ_JOBS:-2})); do wait -n || failed=1; done
  fuzz "$reader" &
done
while (($(jobs -rp | wc -l))); do wait -n || failed=1; done
exit "$failed"
