"""Elements of a binary ``BYTES`` tensor: each is its length, 4 bytes little-endian, and then its bytes."""

from __future__ import annotations

from struct import Struct, error

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.errors import InvalidInput

_LENGTH = Struct("<I")


def parse_byte_strings(data: memoryview, count: int, *, feature: str) -> pa.LargeStringArray:
    """Return ``count`` texts (at least 1).

    Args:
        data: all of the tensor, and nothing else.
        count: of elements.
        feature: the name of whose values they are.

    Raises:
        InvalidInput: there are more or fewer elements, or one is not UTF-8.
    """
    raw = np.frombuffer(data, np.uint8)
    cut = _equally_long(raw, count)
    contents, offsets = cut if cut is not None else _each(raw, data, count, feature)
    texts = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(contents))
    _check_utf8(texts, feature)
    return texts


def _equally_long(raw: npt.NDArray[np.uint8], count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] | None:
    """Return contents and offsets of elements of one length, as codes are, found without a loop; else None."""
    size = len(raw) // count
    if size < _LENGTH.size or size * count != len(raw):
        return None
    elements = raw.reshape(count, size)
    length = np.frombuffer(_LENGTH.pack(size - _LENGTH.size), np.uint8)
    if not (elements[:, : _LENGTH.size] == length).all():
        return None
    contents = np.ascontiguousarray(elements[:, _LENGTH.size :]).reshape(-1)
    return contents, np.arange(count + 1, dtype=np.int64) * (size - _LENGTH.size)


def _each(
    raw: npt.NDArray[np.uint8], data: memoryview, count: int, feature: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return contents and offsets of elements of any length. Where one begins is known only from the one before."""
    unpack, at, starts = _LENGTH.unpack_from, 0, [0]
    try:
        for _ in range(count):
            at += _LENGTH.size + unpack(data, at)[0]
            starts.append(at)
    except error:  # past the end
        at = -1
    if at != len(data):
        got = "fewer" if at < 0 or at > len(data) else "more"
        message = (
            f"feature {feature!r} must have {count} elements in its {len(data)} bytes, each its length in 4 bytes "
            f"and as many bytes; got {got} bytes"
        )
        raise InvalidInput(message, cause="bad_body", feature=feature)
    offsets = np.array(starts, np.int64)
    is_content = np.ones(len(raw), bool)
    for place in range(_LENGTH.size):
        is_content[offsets[:-1] + place] = False
    return raw[is_content], offsets - _LENGTH.size * np.arange(count + 1)


def _check_utf8(texts: pa.LargeStringArray, feature: str) -> None:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as broken:
        for row, value in enumerate(texts.view(pa.large_binary())):
            content = value.as_py()
            try:
                content.decode()
            except UnicodeDecodeError:
                message = f"row {row}: feature {feature!r} must be text in UTF-8; got {content[:80]!r}"
                raise InvalidInput(message, cause="wrong_type", feature=feature) from broken
        raise
