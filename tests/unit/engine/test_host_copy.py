from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest

from engine.errors import BadArtifact, BadSettings, Unavailable
from engine.host_copy import host_copy

NAME = "table"


def copy(folder: Path, data: bytes = b"1234") -> bytes:
    with host_copy(folder, NAME, 4, lambda file: file.write(data)) as file:
        return file.read()


def test_the_first_makes_it_and_the_others_open_it(tmp_path: Path) -> None:
    assert copy(tmp_path / "of" / "a host") == b"1234"
    assert copy(tmp_path / "of" / "a host", b"5678") == b"1234"


def test_one_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    copy(tmp_path / "shared")
    (tmp_path / "shared" / NAME).write_bytes(b"12")
    assert copy(tmp_path / "shared", b"5678") == b"5678"


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shared").touch()
    with pytest.raises(BadSettings, match="shared must be a directory that only its user may write to"):
        copy(tmp_path / "shared")


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(BadSettings, match="chmod 700"):
        copy(tmp_path / "shared")


@pytest.mark.parametrize(
    "error, kind, message",
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            Unavailable,
            "shared/table: No space left .* free some",
        ),
        (OSError(errno.EIO, "Input/output error"), Unavailable, "shared/table: Input/output error. Try again"),
        (BadArtifact("shard 3 is damaged"), BadArtifact, "^shard 3 is damaged$"),
    ],
)
def test_what_fails_is_told_and_leaves_nothing(
    error: Exception, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"12")
        raise error

    with pytest.raises(kind, match=message), host_copy(tmp_path / "shared", NAME, 4, write):
        pass
    assert [path.name for path in (tmp_path / "shared").iterdir()] == [f".{NAME}.lock"]
    assert copy(tmp_path / "shared") == b"1234"
