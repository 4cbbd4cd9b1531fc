"""Bodies for measuring: the same rows as TensorFlow Serving's JSON or as an Arrow stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import orjson
import pyarrow as pa

from engine.space import FeatureSpace
from engine.wire.arrow_stream import write_arrow
from engine.wire.media_types import ARROW_STREAM
from online.profile.random_rows import Columns, random_columns

CONTENT_TYPES = {"json": "application/json", "arrow": ARROW_STREAM}
# Several bodies a size, lest one lucky row stands for all; more of the large ones would only fill the memory.
_MOST_BODIES, _BODIES_BYTES = 16, 4 << 20
# A server takes 8 MiB unless it is told otherwise; far above that a request is no longer one that clients send.
_LARGEST_BYTES = 64 << 20


def json_body(columns: Columns) -> bytes:
    """Return ``{"instances": […]}``."""
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    # numpy's float32 have shorter texts than the float64 that tolist would give: those that users write.
    return orjson.dumps({"instances": rows}, option=orjson.OPT_SERIALIZE_NUMPY)


def arrow_body(columns: Columns) -> bytes:
    """Return an Arrow stream of one batch, not compressed."""
    table = pa.table({name: _arrow(column) for name, column in columns.items()})
    return write_arrow(table)


FORMS: dict[str, Callable[[Columns], bytes]] = {"json": json_body, "arrow": arrow_body}


class BodyMaker:
    """Makes the bodies of each size, when they are asked for."""

    def __init__(self, space: FeatureSpace, form: str, *, seed: int = 1) -> None:
        """Take ``json`` or ``arrow`` as the form."""
        self.content_type = CONTENT_TYPES[form]
        self._space, self._encode = space, FORMS[form]
        self._random = np.random.default_rng(seed)
        self._row_bytes = len(self._body(1))

    def bodies(self, rows: int) -> list[bytes]:
        """Return distinct bodies of so many rows; none where each would be too large to hold."""
        # An Arrow stream of one row is mostly its schema: the estimate is on the safe side.
        expected = self._row_bytes * rows
        if expected > _LARGEST_BYTES and len(self._body(min(rows, 100))) * rows // min(rows, 100) > _LARGEST_BYTES:
            return []
        first = self._body(rows)
        more = min(_MOST_BODIES, _BODIES_BYTES // len(first)) - 1
        return [first, *(self._body(rows) for _ in range(more))]

    def _body(self, rows: int) -> bytes:
        return self._encode(random_columns(self._space, rows, self._random))


def _arrow(column: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> pa.Array:
    if column.ndim == 1:
        return pa.array(column, pa.string() if column.dtype == np.object_ else None)
    array = pa.array(column.reshape(-1))
    for length in reversed(column.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array
