#!/usr/bin/env bash
# Formats all C++ by .clang-format. With --check (as in CI) it changes nothing and prints the differences and the lines
# of any source that are longer than 120 columns.
set -euo pipefail
cd "$(dirname "$0")/.."
clang_format=.venv/bin/clang-format
if [[ ${1:-} != --check ]]; then
  git ls-files -z '*.cpp' '*.hpp' | xargs -0 "$clang_format" -i
  exit
fi
git ls-files -z '*.cpp' '*.hpp' | xargs -0 "$clang_format" --dry-run -Werror
# The rendering scripts are left out: the hash of their bytes is part of the recipe of rendered photos.
git ls-files -z '*.cpp' '*.hpp' '*.py' '*.sh' '*.cmake' '*CMakeLists.txt' ':!scripts/render_faces' |
  xargs -0 .venv/bin/python -c '
import sys
found = 0
for path in sys.argv[1:]:
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        if len(line.rstrip("\n")) > 120:
            print(f"{path}:{number}: {len(line) - 1} columns", file=sys.stderr)
            found = 1
sys.exit(found)'
