#!/usr/bin/env bash
# Makes .venv (everything but Airflow) and .venv-airflow from the hashed pins. Safe to run again: does only what changed.
# Usage: setup.sh [local|dev]; dev adds what tests and checks need.
set -euo pipefail
cd "$(dirname "$0")/../.."
group=${1:-local}

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

find_python() {
  local name
  for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  say "Python 3.11, 3.12 or 3.13 is needed and none was found; install it (apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python make up"
  return 1
}

# Debian splits venv's pip from Python: fetch it where we may, else say what to run.
ensure_venv() {
  "$1" -c 'import ensurepip' 2>/dev/null && return
  local package as_root=""
  package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  [ "$(id -u)" = 0 ] || as_root="sudo -n"
  if command -v apt-get >/dev/null && { [ -z "$as_root" ] || sudo -n true 2>/dev/null; }; then
    say "Installing $package"
    $as_root apt-get update -qq && $as_root apt-get install -y -qq "$package" >&2
  else
    say "Python's venv module lacks pip; run: sudo apt-get install $package"
    return 1
  fi
}

# make_environment FOLDER REQUIREMENTS: rebuilt only when Python, the pins or the tool changed. Compiled once here: where
# PYTHONDONTWRITEBYTECODE is set, each process would compile all that it imports anew, for up to 12 seconds.
make_environment() {
  local folder=$1 pins=$2 stamp
  stamp="$("$python" -VV) $(sha256sum "$pins" requirements/uv.txt | cut -c1-64 | tr '\n' ' ')"
  [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
  say "Installing $pins into $folder"
  [ -x "$folder/bin/python" ] || .venv-tools/bin/uv venv --quiet --clear --python "$python" "$folder"
  .venv-tools/bin/uv pip install --compile-bytecode --python "$folder/bin/python" --require-hashes -r "$pins"
  printf '%s\n' "$stamp" >"$folder/.stamp"
}

python=$(find_python)
if ! cmp -s requirements/uv.txt .venv-tools/.stamp; then
  ensure_venv "$python"
  say "Making .venv-tools with uv"
  "$python" -m venv .venv-tools
  .venv-tools/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
  cp requirements/uv.txt .venv-tools/.stamp
fi
# A machine that runs tests keeps their tools when only `local` is asked for: dev holds all of local.
[ "$group" = local ] && [ -f .venv/.dev ] && group=dev
make_environment .venv "requirements/$group.txt"
[ "$group" = dev ] && touch .venv/.dev
if [ "$(cat .venv/.project 2>/dev/null)" != "$(sha256sum pyproject.toml)" ]; then
  .venv-tools/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
  sha256sum pyproject.toml >.venv/.project
fi
make_environment .venv-airflow requirements/airflow.txt
.venv/bin/python -m compileall -q src deploy/local
