"""Elements of a binary ``BYTES`` tensor: each is its length, 4 bytes little-endian, and then its bytes."""

from __future__ import annotations

from itertools import pairwise
from struct import Struct, error

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.errors import InvalidInput

# Below this numpy's calls take longer than a loop; far above, the loop is most of a request's time.
_FEW = 32
_LENGTH = Struct("<I")
# Where the upper bytes of a length stand, from the first of them.
_UPPER = np.arange(3)


def parse_byte_strings(data: memoryview, count: int, *, feature: str) -> pa.LargeStringArray:
    """Return ``count`` texts (at least 1).

    Args:
        data: all of the tensor, and nothing else.
        count: of elements.
        feature: the name of whose values they are.

    Raises:
        InvalidInput: there are more or fewer elements, or one is not UTF-8.
    """
    if count < _FEW:
        contents = [bytes(data[start + _LENGTH.size : end]) for start, end in pairwise(_starts(data, count, feature))]
        texts = pa.array(contents, pa.large_binary()).view(pa.large_string())
    else:
        texts = _cut(data, count, feature)
    _check_utf8(texts, feature)
    return texts


def _cut(data: memoryview, count: int, feature: str) -> pa.LargeStringArray:
    raw = np.frombuffer(data, np.uint8)
    starts = _starts_of_short(raw, count)
    if starts is None:
        starts = np.array(_starts(data, count, feature), np.int64)
    is_content = np.ones(len(raw), bool)
    for place in range(_LENGTH.size):
        is_content[starts[:-1] + place] = False
    offsets = starts - _LENGTH.size * np.arange(count + 1)
    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(raw[is_content]))


def _starts_of_short(raw: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int64] | None:
    """Return what ``_starts`` does, without its loop; None where an element is empty, past 255 bytes, or has a NUL.

    Of other elements the only zeros are the upper three bytes of each length. So the zeros say where elements begin;
    that each then ends where the next begins proves it, whatever the bytes are.
    """
    zeros = np.flatnonzero(raw == 0)
    if len(zeros) != 3 * count or zeros[0] != 1:
        return None
    triples = zeros.reshape(count, 3)
    starts = np.append(triples[:, 0] - 1, len(raw))
    chained = starts[:-1] + _LENGTH.size + raw[starts[:-1]] == starts[1:]
    return starts if chained.all() and (triples - triples[:, :1] == _UPPER).all() else None


def _starts(data: memoryview, count: int, feature: str) -> list[int]:
    """Return where each element's length begins and the last element ends; known only from the element before."""
    unpack, at, starts = _LENGTH.unpack_from, 0, [0]
    try:
        for _ in range(count):
            at += _LENGTH.size + unpack(data, at)[0]
            starts.append(at)
    except error:  # past the end
        at = -1
    if at != len(data):
        got = "more" if 0 <= at < len(data) else "fewer"
        message = (
            f"feature {feature!r} must have {count} elements in its {len(data)} bytes, each its length in 4 bytes "
            f"and as many bytes; got {got} bytes"
        )
        raise InvalidInput(message, cause="bad_body", feature=feature)
    return starts


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
