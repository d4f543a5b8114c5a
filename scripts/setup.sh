#!/usr/bin/env bash
# The two halves of set-up that the Makefile needs, with checks first and messages that say what to do.
#   setup.sh packages COMMAND:PACKAGE...        install the Debian package of each command that is missing
#   setup.sh venv DIR PYTHON GIGABYTES ARGS...  make DIR a virtual environment and pip install ARGS into it
set -euo pipefail

die() {
    printf '\nset-up: %s\n' "$*" >&2
    exit 1
}

packages() {
    local missing=() pair
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local how="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null || die "${missing[*]} is missing: install it with your system's package manager"
    [ "$(id -u)" -eq 0 ] || die "${missing[*]} is missing and needs root. Run:  sudo sh -c '$how'"
    echo "set-up: installing ${missing[*]} (Debian)"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null ||
        die "could not install ${missing[*]}. Try:  $how"
}

venv() {
    local dir=$1 python=$2 gigabytes=$3
    shift 3
    command -v "$python" >/dev/null || die "$python is missing: name another with  make PYTHON=/path/to/python3.11 ..."
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' ||
        die "$("$python" --version) does not do: Python 3.11 to 3.13 is needed (make PYTHON=python3.11 ...)"
    if [ ! -x "$dir/bin/pip" ]; then
        local free
        free=$(df --output=avail -k . | tail -n 1)
        [ "$free" -ge $((gigabytes * 1000000)) ] ||
            die "$dir needs $gigabytes GB here and $((free / 1000000)) GB are free (torch's default build brings CUDA along)"
        echo "set-up: making $dir with $("$python" --version); it takes some minutes and up to $gigabytes GB"
        rm -rf "$dir"
        "$python" -m venv "$dir" || die "$python has no venv module (Debian: apt-get install python3-venv)"
    fi
    "$dir/bin/pip" install --quiet --disable-pip-version-check "$@" ||
        die "pip could not install what is pinned; the lines above say why. Call again to go on"
}

"$@"
