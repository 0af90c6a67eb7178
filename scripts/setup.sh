#!/usr/bin/env bash
# Installs what building and running facepoison needs, and only what is missing. Safe to run again.
# System packages come from apt (as root, or through sudo); Python's go to .venv/ in the project.
# TORCH_VERSION=2.13.0 takes the registry's plain (CUDA) wheel in the place of the CPU one.
# What apt and pip print is in build/setup.log.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/quiet.sh
log=build/setup.log
mkdir -p build
: >"$log"

# CMake ≥ 3.25, OpenCV ≥ 4.5, CLI11 ≥ 2.1, spdlog ≥ 1.9, nlohmann_json ≥ 3.10, GoogleTest ≥ 1.11,
# google-benchmark ≥ 1.6, libjpeg-turbo ≥ 2.0, OpenSSL ≥ 3.0, utf8proc ≥ 2.0, zlib: what Debian 12 and Ubuntu 24.04
# have, or newer.
missing=()
for tool in g++ cmake git ccache pkg-config python3 npm curl; do # a tool that came from elsewhere serves as well
  command -v "$tool" >/dev/null || missing+=("$tool")
done
command -v ninja >/dev/null || missing+=(ninja-build)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
for package in libopencv-dev libcli11-dev libspdlog-dev nlohmann-json3-dev libboost-dev \
  libgtest-dev libbenchmark-dev libturbojpeg0-dev libjpeg-dev libssl-dev libutf8proc-dev zlib1g-dev; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  say "installing system packages: ${missing[*]} (log: $log)"
  sudo=()
  [[ $(id -u) == 0 ]] || sudo=(sudo)
  quietly "$log" "${sudo[@]}" apt-get update
  install=(apt-get install -y --no-install-recommends)
  quietly "$log" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" "${missing[@]}"
else
  say "system packages: all there"
fi

if [[ ! -x .venv/bin/python ]]; then
  say "making .venv"
  quietly "$log" python3 -m venv .venv
fi
installed() { # distribution==version, asked of the files, since importing torch takes seconds
  .venv/bin/python - "$1" <<'PY'
import sys
from importlib.metadata import PackageNotFoundError, version
name, wanted = sys.argv[1].split("==")
try:
    found = version(name)
except PackageNotFoundError:
    sys.exit(1)
sys.exit(0 if found == wanted or found.split("+")[0] == wanted else 1)
PY
}
torch=${TORCH_VERSION:-2.13.0+cpu}
if installed "torch==$torch" || installed "torch==${torch%%+*}"; then
  say "torch ${torch%%+*}: there"
else
  say "installing torch $torch (about 1 GB; log: $log)"
  # Where no index has the CPU build by that name, the plain version is it, or is the CUDA build of several GB.
  .venv/bin/python -m pip install "torch==$torch" 2>&1 | to_log "$log" ||
    quietly "$log" .venv/bin/python -m pip install "torch==${torch%%+*}"
fi
wanted=$(grep -v '^#' scripts/requirements.txt)
for requirement in $wanted; do
  installed "$requirement" && continue
  say "installing $requirement"
  quietly "$log" .venv/bin/python -m pip install "$requirement"
done
say "ready"
