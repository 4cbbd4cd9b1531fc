"""Integer columns of categories: the short cut gives what the scalar meaning gives, for every width and sign."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from engine.encoder import CategoricalEncoder
from engine.errors import InvalidInput
from engine.feature import Categorical, Unknown

VOCABULARIES = {
    "from zero": ("0", "1", "2", "3"),
    "out of order, with gaps": ("7", "0", "300", "12"),
    "beside texts": ("UA", "07", "7", "1"),
    "negative": ("-1", "0", "5"),
    "far apart": ("5", "70000"),
}
KINDS = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("values", VOCABULARIES.values(), ids=VOCABULARIES)
@pytest.mark.parametrize("known_only", [True, False])
def test_a_column_of_integers_encodes_as_each_alone(
    values: tuple[str, ...], kind: pa.DataType, known_only: bool
) -> None:
    encoder = CategoricalEncoder(Categorical("code", values, unknown=Unknown.REJECT))
    limits = np.iinfo(kind.to_pandas_dtype())
    candidates = [-1, 0, 1, 2, 5, 7, 12, 100, 300, 70_000, limits.min, limits.max]
    rows = [value for value in candidates if limits.min <= value <= limits.max]
    if known_only:
        rows = [value for value in rows if str(value) in values]
    codes, errors = encoder.many(pa.array(rows, kind))
    for row, value in enumerate(rows):
        if str(value) in values:
            assert (codes[row], row in errors) == (values.index(str(value)), False)
        else:
            assert errors[row].cause == "unknown_category"
            with pytest.raises(InvalidInput):
                encoder.one(value)
