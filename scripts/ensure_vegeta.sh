#!/usr/bin/env bash
# Prints the path of vegeta, which loads a server at a constant rate. No distribution has it: it is built with Go, from
# the sources that bench/load/vegeta/go.sum pins, into bench/.cache. The options are those of installing.sh.
set -euo pipefail
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"
cd "$(dirname "$0")/.."

program=$PWD/bench/.cache/vegeta
sources=bench/load/vegeta
if [ ! -x "$program" ] || [ "$sources/go.sum" -nt "$program" ]; then
    [ -z "$install" ] || PATH=$PATH:/usr/local/go/bin ensure go golang-go "vegeta is built with it" >/dev/null
    if go=$(PATH=$PATH:/usr/local/go/bin command -v go) && [ -n "$install" ]; then
        echo "vegeta: building it (2 minutes)" >&2
        (cd "$sources" && "$go" build -mod=readonly -o "$program" github.com/tsenart/vegeta/v12) >&2
    fi
fi
if [ -x "$program" ]; then
    echo "$program"
    exit 0
fi
echo "vegeta: bench-online loads servers with it; found none, and no Go to build it. Install Go 1.22 or newer." >&2
[ -z "$required" ] || exit 64
