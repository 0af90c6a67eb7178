# Sourced by the scripts that call package managers and compilers. What those print goes to a log; on a terminal its
# last line is shown in place, and where one fails, the log's end.

say() { echo "$(basename "$0" .sh): $*" >&2; }

# Appends its input to the file LOG.
to_log() {
  local log=$1 line width
  width=$(tput cols 2>/dev/null || echo 80)
  while IFS= read -r line || [[ -n $line ]]; do
    printf '%s\n' "$line" >>"$log"
    [[ ! -t 2 ]] || printf '\r\033[K%.*s' "$((width - 1))" "  ${line##*$'\r'}" >&2
  done
  [[ ! -t 2 ]] || printf '\r\033[K' >&2
}

# quietly LOG COMMAND...
quietly() {
  local log=$1 code=0
  shift
  "$@" 2>&1 | to_log "$log" || code=$?
  ((code)) || return 0
  say "failed: $*; the end of $log:"
  tail -n 30 "$log" >&2
  return "$code"
}

# Fetches the recognisers that are not there; where some cannot be had, names them and fails.
fetch_recognisers() {
  local log=build/models.log
  : >"$log"
  say "fetching the recognisers that are not there yet (log: $log)"
  .venv/bin/python -u scripts/fetch_models.py 2>&1 | to_log "$log" && return
  grep '^missing: ' "$log" >&2 || tail -n 30 "$log" >&2
  return 1
}

# install_packages LOG PACKAGE...: by apt, as root or through sudo.
install_packages() {
  local log=$1 sudo=()
  shift
  say "installing system packages: $* (log: $log)"
  [[ $(id -u) == 0 ]] || sudo=(sudo)
  quietly "$log" "${sudo[@]}" apt-get update &&
    quietly "$log" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# need_clang LOG: installs Clang where there is none, with its sanitizers, which its package only recommends.
need_clang() {
  command -v clang++ >/dev/null || install_packages "$1" --install-recommends clang
}

# Does the processor multiply in bf16? There networks take half the time in it; elsewhere they would take longer.
multiplies_in_bf16() {
  grep -qwE 'avx512_bf16|amx_bf16|bf16' "${CPUINFO:-/proc/cpuinfo}"
}
