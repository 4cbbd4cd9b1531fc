#!/usr/bin/env bash
# Prints the home of a Java that Spark 4 runs on: version 17 or 21, with the module jdk.incubator.vector.
# Where none is found and the user may install packages, installs one. Otherwise says on stderr what to install, and
# prints nothing: exit 0, since the local runner needs no Java; with --require, exit 64. --no-install only looks.
set -euo pipefail
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

suits() { # suits JAVA: is this executable a Java that Spark 4 runs on?
    local major
    [ -x "$1" ] || return 1
    major=$("$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1) || return 1
    [ "$major" = 17 ] || [ "$major" = 21 ] || return 1
    # A Java cut down with jlink may lack the module; Spark's launcher asks for it and would not start.
    [[ "$("$1" --list-modules 2>/dev/null)" == *jdk.incubator.vector@* ]]
}

find_home() { # prints the home of the first Java that suits
    local java
    for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
        if [ -n "$java" ] && suits "$java"; then
            java=$(readlink -f "$java")
            echo "${java%/bin/java}"
            return 0
        fi
    done
    return 1
}

install_java() { # the first package that the system's package manager has
    local package
    for package in openjdk-17-jre-headless openjdk-21-jre-headless java-17-openjdk-headless java-21-openjdk-headless; do
        if install_package "$package"; then return; fi
    done
    return 1
}

if find_home; then exit 0; fi
if may_install; then
    echo "java: none that Spark can use; installing one with the system's package manager" >&2
    install_java >&2 || true
    hash -r
    if find_home; then exit 0; fi
fi
echo "java: Spark needs Java 17 or 21 with jdk.incubator.vector; found none. Install openjdk-17-jre-headless (Debian, Ubuntu) or java-17-openjdk-headless (Fedora)." >&2
[ -z "$required" ] || exit 64
