#!/usr/bin/env bash
# Prints the path of Maven's program, which fetches the jars of the services that tests run on.
# Where none is found and the user may install packages, installs it. Otherwise says on stderr what to install, and
# prints nothing: exit 0, since most tests need no such service; with --require, exit 64. --no-install only looks.
set -euo pipefail
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

install_maven() { # with the system's package manager
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq || true # an old index may do
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends maven
    elif command -v dnf >/dev/null; then
        as_root dnf install -q -y maven
    else
        return 1
    fi
}

if command -v mvn; then exit 0; fi
if may_install; then
    echo "maven: none found; installing it with the system's package manager" >&2
    install_maven >&2 || true
    hash -r
    if command -v mvn; then exit 0; fi
fi
echo "maven: the services for tests need mvn to fetch their jars; found none. Install the package maven (Debian, Ubuntu, Fedora)." >&2
[ -z "$required" ] || exit 64
