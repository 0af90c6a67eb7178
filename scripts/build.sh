#!/usr/bin/env bash
# Builds build/<preset>/facepoison and its tests, or one target (`bench`: the benchmarks). Usage:
# scripts/build.sh [release|debug|asan [TARGET]]; needs scripts/setup.sh once.
# The output of CMake and the compiler is in build/<preset>/build.log.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/quiet.sh
preset=${1:-release}
log=build/$preset/build.log
mkdir -p "build/$preset"
: >"$log"
say "building build/$preset/facepoison (log: $log)"
quietly "$log" cmake --preset "$preset"
quietly "$log" cmake --build --preset "$preset" ${2:+--target "$2"}
say "ready"
