#!/usr/bin/env bash
# Builds build/<preset>/facepoison. Usage: scripts/build.sh [release|debug|asan]; needs scripts/setup.sh once.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
cmake --preset "$preset" >&2
cmake --build --preset "$preset" >&2
echo "build: build/$preset/facepoison" >&2
