"""Pack: what executors need of this environment, as one archive that Spark ships to them.

``spark-submit --archives foretable.tar.gz#foretable`` unpacks it beside each executor, and
``PYSPARK_PYTHON=foretable/bin/python`` starts the host's own Python with it. It holds this project's packages and
exactly the distributions that are installed here for them: no TensorFlow, no pyspark (Spark ships its own), and of the
others not what no worker loads. Equal environments give equal bytes.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import BadSettings
from jobs.packing.archive import write_archive
from jobs.packing.contents import packed_contents
from jobs.program import Parser, Result, add_common, run

_STORAGES = ("hdfs", "s3")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What was packed.

    Attributes:
        archive: its path.
        size_bytes: of the archive.
        unpacked_size_bytes: of the files in it.
        distributions: ``name==version`` of each that is in it.
    """

    archive: str
    size_bytes: int
    unpacked_size_bytes: int
    distributions: tuple[str, ...]


def pack(archive: Path, storages: Sequence[str] = ("hdfs",)) -> Packed:
    """Write the archive; one that was there is replaced in a single step.

    Args:
        archive: where to; ``.tar.gz``, by which Spark and YARN know how to unpack it.
        storages: extras of this project, for what the executors read and write.

    Raises:
        BadSettings: something that executors need is not installed, or the file may not be written.
    """
    if not archive.name.endswith(".tar.gz"):
        message = f"an archive's name must end with .tar.gz, by which Spark unpacks it; got {archive.name!r}"
        raise BadSettings(message)
    contents = packed_contents(storages)
    partial = archive.with_name(f".{archive.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            unpacked = write_archive(file, contents.files)
        partial.replace(archive)
    except OSError as error:
        message = f"{archive}: must be a file that may be written; got: {error}. Give another --output"
        raise BadSettings(message) from error
    finally:
        partial.unlink(missing_ok=True)
    return Packed(
        archive=os.fspath(archive),
        size_bytes=archive.stat().st_size,
        unpacked_size_bytes=unpacked,
        distributions=contents.distributions,
    )


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable pack", description=__doc__)
    options.add_argument(
        "--output", type=Path, default=Path("foretable.tar.gz"), metavar="FILE", help="default: foretable.tar.gz"
    )
    options.add_argument(
        "--storage",
        action="append",
        choices=_STORAGES,
        help="what executors read and write, besides shared directories; may be given again; default: hdfs",
    )
    add_common(options, registry=False)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Pack as the arguments say."""
    done = pack(arguments.output, arguments.storage or ("hdfs",))
    return Result(summary(done), **asdict(done))


def summary(done: Packed) -> str:
    """Return what was packed, as people read it."""
    sizes = f"{done.size_bytes / 1e6:,.1f} MB packed, {done.unpacked_size_bytes / 1e6:,.1f} MB unpacked"
    return f"{done.archive}: {sizes}: {', '.join(done.distributions)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
