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
