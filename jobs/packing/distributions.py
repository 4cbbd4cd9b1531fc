"""Which installed distributions an environment needs: those that a root requires, and those that they require."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from engine.errors import BadSettings

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")


def required_distributions(root: str, extras: Collection[str]) -> list[Distribution]:
    """Return the distributions that ``root`` needs here, without itself, sorted by name.

    Args:
        root: an installed distribution's name.
        extras: of the root.

    Raises:
        BadSettings: one is not installed, or the root has no such extra.
    """
    try:
        found = distribution(root)
    except PackageNotFoundError as error:
        message = f"distribution {root!r} must be installed, editable or not; it is not. pip install it"
        raise BadSettings(message) from error
    known = found.metadata.get_all("Provides-Extra") or []
    if unknown := sorted(set(extras) - set(known)):
        message = f"extras must be among those of {root}, {', '.join(known)}; got {', '.join(unknown)}. Install it anew"
        raise BadSettings(message)
    needed: dict[str, Distribution] = {}
    pending = [(root, name, optional) for name, optional in _requirements(found, extras)]
    while pending:
        dependent, name, optional = pending.pop()
        if _normal(name) in needed:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError as error:
            if optional:
                continue
            message = f"{name}, which {dependent} needs, must be installed; it is not. Install the locked requirements"
            raise BadSettings(message) from error
        needed[_normal(name)] = found
        pending += [(name, below, below_optional) for below, below_optional in _requirements(found, ())]
    return [needed[name] for name in sorted(needed)]


def glibc_of(distributions: Collection[Distribution]) -> tuple[int, int]:
    """Return the oldest glibc on which all of them start, by the tags of their wheels; (0, 0) where none has any."""
    newest = (0, 0)
    for found in distributions:
        tags = _MANYLINUX.findall((found.read_text("WHEEL") or "").replace("manylinux2014_", "manylinux_2_17_"))
        if tags:
            newest = max(newest, min((int(major), int(minor)) for major, minor in tags))
    return newest


def _requirements(found: Distribution, extras: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Yield the name of each requirement, and whether it is for some hosts only: then what is installed decides."""
    for requirement in found.requires or []:
        specifier, _, marker = requirement.partition(";")
        name = _NAME.match(specifier)
        wanted = _EXTRA.findall(marker)
        if name and (not wanted or set(wanted) & set(extras)):
            yield name[0], bool(marker) and not wanted


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
