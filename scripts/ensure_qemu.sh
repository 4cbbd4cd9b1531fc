#!/usr/bin/env bash
# Prints the path of the emulator that runs a program on another kind of CPU, and installs it where it is missing and
# allowed; the options are those of installing.sh. Without it nothing is printed, and the exit code is 0.
set -euo pipefail
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

ensure qemu-x86_64 qemu-user "one test runs the server on a CPU of another numeric class"
