# Sourced by the scripts that call package managers and compilers. Their output goes to a log; a terminal shows its
# last line in place, and the end of the log after a failure.

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

# Fetches the missing recognisers; if some cannot be fetched, names them and fails.
fetch_recognisers() {
  local log=build/models.log
  : >"$log"
  say "fetching the missing recognisers (log: $log)"
  .venv/bin/python -u scripts/fetch_models.py 2>&1 | to_log "$log" && return
  grep '^missing: ' "$log" >&2 || tail -n 30 "$log" >&2
  return 1
}

# install_packages LOG PACKAGE...: installs with apt, as root or through sudo.
install_packages() {
  local log=$1 sudo=()
  shift
  say "installing system packages: $* (log: $log)"
  [[ $(id -u) == 0 ]] || sudo=(sudo)
  quietly "$log" "${sudo[@]}" apt-get update &&
    quietly "$log" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# need_clang LOG: installs Clang if there is none, with its sanitizers, which its package only recommends.
need_clang() {
  command -v clang++ >/dev/null || install_packages "$1" --install-recommends clang
}

# Can the processor multiply in bf16? If so, bf16 halves the networks' time; else it would take longer than fp32.
multiplies_in_bf16() {
  grep -qwE 'avx512_bf16|amx_bf16|bf16' "${CPUINFO:-/proc/cpuinfo}"
}
