#!/usr/bin/env bash
# Installs the missing packages for building and running facepoison. Safe to run again.
# System packages come from apt (as root, or through sudo); Python packages go to .venv/ in the project.
# TORCH_VERSION=2.13.0 takes the registry's plain (CUDA) wheel instead of the CPU one.
# The output of apt and pip is in build/setup.log.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/quiet.sh
log=build/setup.log
mkdir -p build
: >"$log"

# CMake ≥ 3.25, OpenCV ≥ 4.5, CLI11 ≥ 2.1, spdlog ≥ 1.9, nlohmann_json ≥ 3.10, GoogleTest ≥ 1.11,
# google-benchmark ≥ 1.6, libjpeg-turbo ≥ 2.0, OpenSSL ≥ 3.0, utf8proc ≥ 2.0, zlib: Debian 12 and Ubuntu 24.04 have
# these or newer ones.
missing=()
for tool in g++ cmake git ccache pkg-config python3 npm curl; do # tools from other sources count as well
  command -v "$tool" >/dev/null || missing+=("$tool")
done
command -v ninja >/dev/null || missing+=(ninja-build)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
for package in libopencv-dev libcli11-dev libspdlog-dev nlohmann-json3-dev libboost-dev \
  libgtest-dev libbenchmark-dev libturbojpeg0-dev libjpeg-dev libssl-dev libutf8proc-dev zlib1g-dev; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  install_packages "$log" "${missing[@]}"
else
  say "system packages: all there"
fi

if [[ ! -x .venv/bin/python ]]; then
  say "making .venv"
  quietly "$log" python3 -m venv .venv
fi
installed() { # distribution==version; reads metadata files, since importing torch takes seconds
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
  # If no index has the CPU build under that name, the plain version is the CPU build or a CUDA build of several GB.
  .venv/bin/python -m pip install "torch==$torch" 2>&1 | to_log "$log" ||
    quietly "$log" .venv/bin/python -m pip install "torch==${torch%%+*}"
fi
wanted=$(grep -v '^#' scripts/requirements.txt)
for requirement in $wanted; do
  installed "$requirement" && continue
  say "installing $requirement"
  quietly "$log" .venv/bin/python -m pip install "$requirement"
done

# Scripts from npm that a report's page draws with, and that its tests use: package, file in it, its sha256.
while read -r package file sum; do
  script=build/report/$(basename "$file")
  sha256sum --check --status <<<"$sum  $script" 2>/dev/null && continue
  say "fetching $package"
  mkdir -p build/report
  archive=$(cd build/report && npm pack --silent "$package" 2>>"../setup.log") || archive=
  [[ -n $archive ]] && tar -xzOf "build/report/$archive" "$file" >"$script.part" 2>>"$log" || true
  rm -f "build/report/$archive"
  if sha256sum --check --status <<<"$sum  $script.part" 2>/dev/null; then
    mv "$script.part" "$script"
  else
    rm -f "$script.part"
    say "$package could not be fetched, or has changed: reports have no figures (log: $log)"
  fi
done <<'LIST'
vega@6.4.0 package/build/vega.min.js 8f6a3587cf8d4f42c7e08120e3eb05d067e746d554e39d2dcf52acc0bd5ba28f
vega-lite@6.5.0 package/build/vega-lite.min.js 83e215e84e308ee8688fa6503ba0f1cf8a3c05c0d61df2841a0b92bf86809e00
vega-embed@7.3.0 package/build/vega-embed.min.js b1455caba2fb1a72fb46025ba0ba1316e2dbc7f0dd40a3f6040172bf9c08ba91
axe-core@4.14.1 package/axe.min.js 29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c
LIST
say "ready"
