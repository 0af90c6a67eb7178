#!/usr/bin/env bash
# Renders photos of people who don't exist; makes .venv-render first if need be. Options: scripts/render_faces/run.sh --help
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../.venv-render
if [[ ! -f $venv/ready ]] || ! cmp -s "$here/requirements.txt" "$venv/ready"; then
  python=$(command -v python3.11 || command -v python3)
  "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    { echo "render_faces: bpy 4.5 needs Python 3.11, found $("$python" --version)" >&2; exit 1; }
  echo "render_faces: making .venv-render (Blender as a Python module, 1 GB)" >&2
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install -q -r "$here/requirements.txt" >&2
  cp "$here/requirements.txt" "$venv/ready"
fi
exec "$venv/bin/python" "$here/render.py" "$@"
