#!/usr/bin/env bash
# Prints the path of wrk, which loads a server as fast as it answers, and installs it where it is missing and allowed; the
# options are those of installing.sh. Without it nothing is printed, and the exit code is 0.
set -euo pipefail
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

ensure wrk wrk "bench-online loads servers with it"
