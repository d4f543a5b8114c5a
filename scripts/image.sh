#!/usr/bin/env bash
# Container images without a daemon, by buildah (root, or a user with subordinate ids). Docker and Podman build the same:
# `bentoml containerize mmer:latest`, `docker build -f deploy/Dockerfile.train .`
#   image.sh serve [FOLDER]     the service: the bento in FOLDER, or a new one; image mmer:serve
#   image.sh train              the pipeline: deploy/Dockerfile.train; image mmer:train
#   image.sh unpack IMAGE DIR   an image's files into DIR
#   image.sh updates IMAGE      what Debian has against an image: security updates that wait, packages that get none
set -euo pipefail
cd "$(dirname "$0")/.."
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot} STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} # work everywhere
BASE=docker.io/library/python:3.11-slim

# The base image; where no registry is reached, one of the same name from Debian's packages, whose Python is 3.11.
base() {
    buildah inspect --type image "$BASE" >/dev/null 2>&1 && return
    buildah pull -q "$BASE" 2>/dev/null && return
    echo "image: $BASE cannot be pulled; making it from Debian's packages"
    local scratch
    scratch=$(mktemp -d)
    trap "rm -rf '$scratch'" EXIT
    mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io \
        --include=ca-certificates,python3,python3-pip,python3-venv \
        --customize-hook='ln -s /usr/bin/python3 "$1/usr/local/bin/python"' \
        --customize-hook='rm "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED' \
        --customize-hook='cp -r /usr/local/share/ca-certificates "$1/usr/local/share/" && chroot "$1" update-ca-certificates' \
        --customize-hook='mkdir -p "$1/etc/uv" && echo "native-tls = true" >"$1/etc/uv/uv.toml"' \
        bookworm "$scratch/root.tar" "deb http://deb.debian.org/debian bookworm main" \
        "deb http://deb.debian.org/debian bookworm-updates main" \
        "deb http://deb.debian.org/debian-security bookworm-security main"
    printf 'FROM scratch\nADD root.tar /\nCMD ["python"]\n' >"$scratch/Dockerfile"
    buildah build -q -t "$BASE" "$scratch" >/dev/null
}

serve() {
    local bento=${1:-}
    if [ -z "$bento" ]; then
        bento=$(BENTOML_DO_NOT_TRACK=True bentoml build --output tag | tail -n 1)
        bento=$(bentoml get "${bento#__tag__:}" --output path)
    fi
    base
    buildah build --pull-never -t mmer:serve -f "$bento/env/docker/Dockerfile" "$bento"
}

train() {
    base
    buildah build --pull-never -t mmer:train -f deploy/Dockerfile.train .
}

unpack() {
    local container
    container=$(buildah from --pull-never "$1")
    mkdir -p "$2"
    cp -a "$(buildah mount "$container")/." "$2"
    buildah rm "$container" >/dev/null
}

updates() {
    local container
    container=$(buildah from --pull-never "$1")
    buildah run --user root "$container" -- sh -ec '
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        waiting=$(apt-get --simulate -qq dist-upgrade | grep ^Inst || true)
        echo "$(dpkg-query --show | wc -l) packages; updates that wait:" && echo "${waiting:-none}"
        apt-get install -qq --no-install-recommends debian-security-support >/dev/null 2>&1
        check-support-status'
    buildah rm "$container" >/dev/null
}

"$@"
