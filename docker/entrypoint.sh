#!/bin/sh
# Entry point of the container: looks at what is mounted, then runs the command.
set -eu

say() { printf 'finnmake: %s\n' "$*" >&2; }

if ! cmp -s requirements.lock /opt/finnmake/requirements.lock; then
    say "warning: this image was built from another requirements.lock than the one in $PWD: docker build -t finnmake ."
fi
if [ ! -w "$FINNMAKE_STORE" ]; then
    say "the store $FINNMAKE_STORE is not writable for user $(id -u): mount a folder of that user's there,"
    say "  docker run --user \"\$(id -u):\$(id -g)\" -v \"\$HOME/.cache/finnmake\":$FINNMAKE_STORE ..."
    exit 1
fi
# With --user there is no home folder, yet libraries write caches and settings to one.
if [ ! -w "${HOME:-/}" ]; then
    HOME=$(mktemp -d)
    export HOME
fi
exec "$@"
