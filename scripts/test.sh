#!/usr/bin/env bash
# Sets up, builds, fetches the recognisers and runs every test. With "asan": runs the unit tests under the
# sanitizers of Clang, which compiles them in a third of GCC's time.
# FACEPOISON_REAL_PHOTOS=FOLDER (<person>/*.jpg) lets the tests labelled `real` run; without it they skip and say so.
# FACEPOISON_REAL_WEIGHTS=FOLDER (default: weights/ next to it) has other people's networks for tests/python.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/quiet.sh
scripts/setup.sh
preset=${1:-release}
[[ $preset != asan ]] || need_clang build/setup.log
scripts/build.sh "$preset"
if [[ $preset != asan ]]; then
  fetch_recognisers || say "some recognisers are missing; the tests that need them will skip"
  command -v chromium >/dev/null || install_packages build/setup.log chromium ||
    say "Chromium is missing: the tests of reports in a browser will be skipped"
fi
# Most tests mainly start a process. Two run at a time, each on one core,
# because two threads that wait for each other are slower.
OMP_NUM_THREADS=1 ctest --preset "$preset" --no-tests=error -j 2
