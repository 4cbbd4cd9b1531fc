"""``bin/python`` of the archive: a host's own Python with the archive's packages, or a clear word why not."""

from __future__ import annotations

import shlex

# Tells what a Python is, and ends with 0 where the packages run on it.
_CHECK = """
import os, sys, sysconfig
libc = (os.confstr("CS_GNU_LIBC_VERSION") or "none").split()[-1]
print(sys.implementation.cache_tag, sysconfig.get_platform(), "with glibc", libc)
numbers = [int(part) for part in libc.split(".") if part.isdigit()]
python, platform, glibc = sys.argv[1:]
sys.exit((sys.implementation.cache_tag, sysconfig.get_platform()) != (python, platform)
         or numbers < [int(part) for part in glibc.split(".")])
"""

_LAUNCHER = """\
#!/bin/sh
# Starts this host's Python with the packages beside this file. EXECUTOR_PYTHON names a Python that is not on PATH.
home=$(cd "$(dirname "$0")/.." && pwd -P) || exit 64
check={check}
for python in ${{EXECUTOR_PYTHON:-{name} python3}}; do
    if found=$("$python" -c "$check" {python} {platform} {glibc} 2>/dev/null); then
        PYTHONPATH="$home/lib${{PYTHONPATH:+:$PYTHONPATH}}" exec "$python" "$@"
    fi
    seen="$seen; $python: ${{found:-none}}"
done
echo "host $(uname -n): must have a Python {python} {platform} with glibc {glibc} or newer; got ${{seen#; }}." \\
    "Install it, name it in EXECUTOR_PYTHON, or pack with the Python and on the platform that the hosts have" >&2
exit 64
"""


def launcher(*, python: str, platform: str, glibc: str) -> bytes:
    """Return the shell script.

    Args:
        python: the interpreter's cache tag, ``cpython-311``: extension modules load in no other.
        platform: as ``sysconfig.get_platform`` says it, ``linux-x86_64``.
        glibc: the oldest on which the packages start, ``2.28``.
    """
    major, minor = python[-3], python[-2:]
    text = _LAUNCHER.format(
        check=shlex.quote(_CHECK), name=f"python{major}.{minor}", python=python, platform=platform, glibc=glibc
    )
    return text.encode()
