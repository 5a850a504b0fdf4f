#!/bin/sh
# Puts uv into a folder of this checkout, on a machine that has Python and nothing else.
# usage: tools/install_uv.sh FOLDER
set -eu
folder=$1
python=${PYTHON:-python3}

try_venv() {
    rm -rf "$folder"
    "$python" -m venv "$folder" >/dev/null 2>&1 && "$folder/bin/python" -m pip install --quiet uv
}

# Debian's python3 comes without the venv module's pip; with root's rights it can be had.
try_apt() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && try_venv
}

echo "setting up uv in $folder" >&2
if ! try_venv && ! try_apt; then
    rm -rf "$folder"
    echo "Could not install uv with $python. Install python3-venv (Debian: apt-get install python3-venv)" >&2
    echo "or uv itself, so that 'uv --version' works, and try again." >&2
    exit 1
fi
