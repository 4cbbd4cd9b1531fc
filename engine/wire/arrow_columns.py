"""Which columns of an Arrow body are read: those whose rows, written out, are not far more than the body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from engine.errors import InvalidInput

# A text view: its length, and 12 bytes that say where it is.
_VIEW_WORDS = 4


def check_columns(table: pa.Table, names: Sequence[str], *, limit_bytes: int) -> None:
    """Refuse features of which a few bytes could fill the memory, once encoders look at them row by row.

    Rows may share one value in a dictionary, in a run and in views: there 100,000 of them, each a list of half a
    million numbers, are a body of 6 MB. A list of nulls or of empty structures needs no bytes at all.

    Args:
        table: validated; its columns are not read where they are no feature.
        names: of the features.
        limit_bytes: the most that a column's texts may be, each row's written out.

    Raises:
        InvalidInput: a feature's type is not read, or its texts are too many.
    """
    for name in names:
        if name not in table.schema.names:
            continue
        column = table.column(name)
        if not _is_read(column.type):
            message = (
                f"feature {name!r} must be numbers, texts, booleans, times, a dictionary of them, or lists of numbers; "
                f"got Arrow's {str(column.type)[:80]}. Cast the column"
            )
            raise InvalidInput(message, cause="wrong_type", feature=name)
        written = sum(map(_text_bytes, column.chunks))
        if written > limit_bytes:
            message = (
                f"feature {name!r} must have {limit_bytes} bytes or fewer of texts, each row's written out; "
                f"got {written}. Send several requests"
            )
            raise InvalidInput(message, cause="bad_body", feature=name)


def _is_read(kind: pa.DataType) -> bool:
    kind = _storage(kind)
    if kinds.is_dictionary(kind):
        return _is_single(_storage(kind.value_type))
    while kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        kind = kind.value_type
        if not kinds.is_nested(kind):
            return bool(kinds.is_integer(kind) or kinds.is_floating(kind))
    return _is_single(kind)


def _is_single(kind: pa.DataType) -> bool:
    return not (kinds.is_nested(kind) or kinds.is_dictionary(kind) or kinds.is_run_end_encoded(kind))


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _text_bytes(column: pa.Array) -> int:
    """Return the bytes of all rows' texts, where rows may share them; 0 where they cannot."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if kinds.is_dictionary(column.type):
        lengths = _lengths(column.dictionary)
        # A null row's place may be any number: it is left out.
        return 0 if lengths is None else int(lengths[column.indices.drop_null().to_numpy()].sum())
    if _is_view(column.type):
        lengths = _lengths(column)
        return 0 if lengths is None else int(lengths.sum())
    return 0


def _lengths(texts: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    """Return the bytes of each text, int64 of shape (n,); None where values are no texts."""
    if isinstance(texts, pa.ExtensionArray):
        texts = texts.storage
    if _is_view(texts.type):
        words = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset * _VIEW_WORDS :: _VIEW_WORDS][: len(texts)]
        return np.where(texts.is_valid().to_numpy(zero_copy_only=False), words, 0).astype(np.int64)
    kind = texts.type
    if kinds.is_string(kind) or kinds.is_binary(kind) or kinds.is_large_string(kind) or kinds.is_large_binary(kind):
        return np.asarray(pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False), np.int64)
    return None


def _is_view(kind: pa.DataType) -> bool:
    return bool(kinds.is_string_view(kind) or kinds.is_binary_view(kind))
