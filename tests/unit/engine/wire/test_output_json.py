from __future__ import annotations

import json
from itertools import islice

import numpy as np

from engine.output import Output, OutputSchema
from engine.wire.output_json import OutputJson

VALUES = np.array([[0.1, -0.5, 0.25], [1e-7, 16777216.0, np.nan]], np.float32)


def test_rows_are_objects_by_name() -> None:
    names = OutputJson(OutputSchema([Output("été"), Output("share", width=2)]))
    assert names.rows(VALUES) == [
        '{"été":0.1,"share":[-0.5,0.25]}'.encode(),
        '{"été":1e-7,"share":[16777216.0,null]}'.encode(),
    ]


def test_one_number_and_no_row() -> None:
    one = OutputJson(OutputSchema([Output("click")]))
    assert one.rows(VALUES[:, :1]) == [b'{"click":0.1}', b'{"click":1e-7}']
    assert one.rows(VALUES[:0, :1]) == []


def test_parts_stand_between_the_first_and_the_last() -> None:
    outputs = OutputJson(OutputSchema([Output("share", width=2), Output("click")]))
    parts = [list(islice(part, 2)) for part in outputs.parts(VALUES)]
    rows = [b"".join([outputs.first, *pieces, outputs.last]) for pieces in zip(*parts, strict=True)]
    assert json.loads(rows[0]) == {"share": [0.1, -0.5], "click": 0.25}
    assert parts[0] == [b"0.1", b"1e-7"]
