#!/bin/bash
# The one entry point of the image: of the container in which `doit` runs steps, of docker/run, of compose and of the
# dev container. Looks at what is mounted, sets Vivado's environment where there is one, then runs the command.
#
#   FINNMAKE_VIVADO   Vivado's folder inside the container, such as /opt/Xilinx/Vivado/2022.2; unset: none
#   FINNMAKE_WORKER   1: the container of `doit`, which has looked at the mounts itself
set -eu

say() { printf 'finnmake: %s\n' "$*" >&2; }

# The image's folder is the parent of this script's.
lock=${0%/*}/../requirements.lock

if [ "${FINNMAKE_WORKER:-}" != 1 ]; then
    if [ -e requirements.lock ] && ! cmp -s requirements.lock "$lock"; then
        say "warning: the image was built from another requirements.lock than the one in $PWD"
        say "  -> Run doit image on the host, and use the image that it makes."
    fi
    if [ ! -w "$FINNMAKE_STORE" ]; then
        say "the store $FINNMAKE_STORE is not writable for user $(id -u)"
        say "  -> Mount a folder of that user's there: --user UID:GID --volume FOLDER:$FINNMAKE_STORE; docker/run does."
        exit 1
    fi
fi

# Libraries write caches and settings to the home folder. A user given by number has none: docker then names /, podman
# the folder that the command starts in, which is the project.
if [ "${HOME:-/}" = / ] || [ "$HOME" = "$PWD" ] || [ ! -w "$HOME" ]; then
    HOME=$(mktemp -d)
    export HOME
fi

# Runs the settings64.sh of a tool, where that is installed. Those scripts read variables that are not set, and end
# with the status of whatever came last.
settings() {
    if [ -r "$1/settings64.sh" ]; then
        set +eu
        # shellcheck disable=SC1091
        . "$1/settings64.sh"
        set -eu
    fi
}

if [ -n "${FINNMAKE_VIVADO:-}" ]; then
    vivado=${FINNMAKE_VIVADO%/}
    if [ ! -r "$vivado/settings64.sh" ]; then
        say "FINNMAKE_VIVADO=$vivado holds no Vivado: there is no $vivado/settings64.sh, or it cannot be read"
        say "  -> Mount the installation there, read-only, at the same path as on the host; docker/run does."
        exit 1
    fi
    installation=${vivado%/*/*}
    # The last comes first on PATH.
    settings "$installation/Vitis/${vivado##*/}"
    settings "$installation/Vitis_HLS/${vivado##*/}"
    settings "$vivado"
    # The licence library opens libudev at run time to list devices, when Vivado's own memory allocator is in place. In a
    # container, where there is no udev, libudev then frees with one allocator what it got from the other, and Vivado
    # dies of an invalid pointer. Loaded first, libudev has one allocator throughout.
    export LD_PRELOAD="libudev.so.1${LD_PRELOAD:+:$LD_PRELOAD}"
fi

export FINNMAKE_ENTERED=1
exec "$@"
