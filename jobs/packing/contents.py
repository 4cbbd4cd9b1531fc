"""What is in the archive, and what is left out of it."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import Distribution
from pathlib import Path

from engine.errors import BadSettings
from engine.manifest import canonical_json
from jobs.packing.distributions import glibc_of, required_distributions
from jobs.packing.launcher import launcher

ROOT = "foretable"
_OWN_PACKAGES = ("engine", "foretable", "jobs")
_OWN_FILES = (".py", ".properties", ".typed")
# Paths below site-packages that no worker loads, as patterns whose * crosses slashes. What a C compiler, a type checker
# or a test needs; what says where things were installed here; and, of 311 MB, the parts below that nobody here imports.
_LEFT_OUT = (
    "../*",
    "*/__pycache__/*",
    "*.pyc",
    "*/tests/*",
    "*.pyi",
    "*.pyx",
    "*.px[di]",
    "*.h",
    "*.hpp",
    "*.cc",
    "*.[ac]",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/sboms/*",
    "ai_edge_litert/aot/*",
    "ai_edge_litert/libLiteRt*",  # for accelerators, through another interface than the interpreter's
    "ai_edge_litert/tools/*",
    "ai_edge_litert/vendors/*",
    "numpy/f2py/*",
    "pyarrow/_flight.*",
    "pyarrow/_pyarrow_cpp_tests.*",
    "pyarrow/_s3fs.*",
    "pyarrow/include*",
    "pyarrow/lib*.so.*.*.*",  # the same library once more
    "pyarrow/libarrow_flight.*",
    "pyarrow/libarrow_python*.so",  # and again
    "pyarrow/libarrow_python_flight.*",
    "pyarrow/libarrow_s3.*",
    "pyarrow/src/*",
)


@dataclass(frozen=True)
class Contents:
    """All files of the archive.

    Attributes:
        files: by path in the archive, where each is read from, or its bytes.
        distributions: ``name==version`` of each that is in it.
    """

    files: dict[str, Path | bytes]
    distributions: tuple[str, ...]


def packed_contents(extras: Collection[str]) -> Contents:
    """Return what executors need: this project's packages, and what they require with these extras.

    Raises:
        BadSettings: something of it is not installed.
    """
    needed = required_distributions(ROOT, extras)
    versions = tuple(f"{found.metadata['Name']}=={found.version}" for found in needed)
    host = {
        "python": sys.implementation.cache_tag,
        "platform": sysconfig.get_platform(),
        "glibc": ".".join(map(str, glibc_of(needed))),
    }
    files: dict[str, Path | bytes] = {
        "bin/python": launcher(**host),
        "environment.json": canonical_json({**host, "distributions": list(versions)}),
    }
    for found in needed:
        files |= {f"lib/{name}": path for name, path in _installed_files(found)}
    for package in _OWN_PACKAGES:
        files |= {f"lib/{name}": path for name, path in _own_files(package)}
    return Contents(files, versions)


def _installed_files(found: Distribution) -> Iterator[tuple[str, Path]]:
    if found.files is None:
        message = f"{found.metadata['Name']}: must list its files, as pip installs it; it does not. Install it by pip"
        raise BadSettings(message)
    for file in found.files:
        name = file.as_posix()
        if not any(fnmatch(name, pattern) for pattern in _LEFT_OUT):
            yield name, Path(str(file.locate()))


def _own_files(package: str) -> Iterator[tuple[str, Path]]:
    """Yield a package's files from where it is imported: an editable distribution does not list them."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations if spec else None) or []:
        for path in Path(place).rglob("*"):
            if path.suffix in _OWN_FILES:
                yield f"{package}/{path.relative_to(place).as_posix()}", path
