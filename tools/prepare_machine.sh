#!/bin/sh
# Sees to it that a machine with Python and make has what installing the locked packages needs: uv, and a C++ compiler
# (one package, pyfarmhash, comes as source only). What is missing is installed where this may be done without asking.
# usage: tools/prepare_machine.sh UV_FOLDER   (prints the uv to use)
set -eu
folder=$1
python=${PYTHON:-python3}

apt_install() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
    echo "installing $* with apt-get" >&2
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

install_uv() {
    rm -rf "$folder"
    "$python" -m venv "$folder" >/dev/null 2>&1 && "$folder/bin/python" -m pip install --quiet uv >&2
}

fail() {
    echo "$1" >&2
    exit 1
}

command -v c++ >/dev/null || apt_install g++ ||
    fail "A C++ compiler is needed. Install one (Debian: apt-get install g++) and try again."

# A shim may be on the PATH and still not run, so uv is asked rather than looked for.
if uv --version >/dev/null 2>&1; then
    echo uv
    exit
fi
if ! "$folder/bin/uv" --version >/dev/null 2>&1; then
    echo "setting up uv in $folder" >&2
    install_uv || { apt_install python3-venv && install_uv; } || {
        rm -rf "$folder"
        fail "Could not install uv with $python. Install python3-venv (Debian: apt-get install python3-venv) or uv."
    }
fi
echo "$folder/bin/uv"
