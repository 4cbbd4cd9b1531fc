#!/usr/bin/env bash
# Prints the path of Maven's program, and installs it where it is missing and allowed; the options are those of
# installing.sh. Without it nothing is printed, and the exit code is 0, since most tests need no such service.
set -euo pipefail
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

ensure mvn maven "the services for tests need mvn to fetch their jars"
