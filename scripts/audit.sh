#!/usr/bin/env bash
# Answers "would I be found by my photos?" from a fresh clone: sets up, builds, fetches the recognisers, and tests the
# photos as they are and cloaked. Nothing leaves the computer. The page is audit.html in the current folder.
# Usage: scripts/audit.sh PHOTOS [audit options]; PHOTOS: a folder with photos of one person, 6 or more, better 20.
# Without --attack and --cloaked, Fawkes 1.0 cloaks the photos.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
if [[ $# -eq 0 || ! -d $1 ]]; then
  echo "audit: expected a folder with photos of one person, found ${1:-nothing}" >&2
  exit 2
fi
(
  cd "$here"
  . scripts/quiet.sh
  scripts/setup.sh
  scripts/build.sh release facepoison
  fetch_recognisers || say "continuing with the recognisers that are present"
)
. "$here/scripts/quiet.sh"
options=()
! multiplies_in_bf16 || options+=(--precision bf16)
case " $* " in
  *" --attack"* | *" --cloaked"*) ;;
  *) options+=(--attack fawkes-v1.0-high) ;;
esac
case " $* " in
  *" --crowd"*) ;;
  *)
    if [[ -d $here/data/lfw ]]; then
      options+=(--crowd "$here/data/lfw")
    else
      say "the crowd is rendered people; among real ones you are harder to find (scripts/fetch_lfw.py, then this again)"
    fi
    ;;
esac
case " $* " in
  *" -o"* | *" --output"*) ;;
  *) options+=(-o audit.html) && say "the page: $PWD/audit.html" ;;
esac
exec "$here/build/release/facepoison" audit "${options[@]}" "$@"
