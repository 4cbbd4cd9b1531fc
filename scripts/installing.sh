# Sourced by scripts/ensure_NAME.sh, which print where a program is and may install it: their options, and their rights.
# Sets `required` (--require: it must be there) and `install` (empty with --no-install: only look).
# shellcheck shell=bash
required=
install=1
for argument in "$@"; do
    case "$argument" in
        --require) required=1 ;;
        --no-install) install= ;;
        *)
            echo "$(basename "$0" .sh): an argument must be --require or --no-install; got '$argument'." >&2
            exit 64
            ;;
    esac
done

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    [ -n "$install" ] && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
}

# ensure PROGRAM PACKAGE PURPOSE: prints the path of a program, which is installed with the system's package manager where
# it is missing and the user may. Where there is none in the end, says so on stderr, and fails with 64 if it is required.
ensure() {
    local program=$1 package=$2 purpose=$3
    if command -v "$program"; then return; fi
    if may_install; then
        echo "$package: none found; installing it with the system's package manager" >&2
        install_package "$package" >&2 || true
        hash -r
        if command -v "$program"; then return; fi
    fi
    echo "$package: $purpose; found no $program. Install the package $package (Debian, Ubuntu, Fedora)." >&2
    [ -z "$required" ] || return 64
}

install_package() {
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq || true # an old index may do
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$1"
    elif command -v dnf >/dev/null; then
        as_root dnf install -q -y "$1"
    else
        return 1
    fi
}
