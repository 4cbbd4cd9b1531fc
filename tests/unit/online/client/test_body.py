"""The forms of a body, against bodies written down here or by the server's renderer."""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow as pa
import pytest

from engine.answer import Answers, Source
from engine.errors import BadSettings, InvalidInput
from engine.output import Output, OutputSchema
from engine.wire.arrow_stream import parse_arrow, render_arrow
from engine.wire.media_types import ARROW_STREAM
from online.client.body import BODIES, NAMELESS

JSON, ARROW = BODIES["json"], BODIES["arrow"]
HEADERS = {"Foretable-Release": "4", "Foretable-Source": "table=1, model=1"}


def test_json_rows() -> None:
    assert orjson.loads(JSON.encode([{"x": np.float32(0.5), "v": np.eye(2)}])) == {
        "instances": [{"x": 0.5, "v": [[1.0, 0.0], [0.0, 1.0]]}]
    }
    assert orjson.loads(JSON.encode(pa.table({"x": [1]}))) == {"instances": [{"x": 1}]}
    found = JSON.decode(b'{"predictions":[{"a":0.1,"b":[1,2]},{"a":null,"b":[3,4]}]}', HEADERS)
    assert found.values["a"].view(np.uint32)[0] == 0x3DCCCCCD
    assert np.isnan(found.values["a"][1])
    assert found.values["b"].tolist() == [[1, 2], [3, 4]]
    assert (found.sources.tolist(), found.releases.tolist()) == (["mixed", "mixed"], [4, 4])
    assert found.rows_by_source == {"table": 1, "model": 1}


def test_json_of_one_output_and_one_source() -> None:
    found = JSON.decode(b'{"predictions":[1,2]}', {**HEADERS, "Foretable-Source": "default"})
    assert found.values[NAMELESS].tolist() == [1, 2]
    assert (found.sources.tolist(), found.rows_by_source) == (["default", "default"], {"default": 2})


def test_arrow_stream() -> None:
    sent = ARROW.encode(pa.table({"x": [1, 2, 3]}).slice(1))
    assert parse_arrow(sent, max_rows=10).to_pydict() == {"x": [2, 3]}
    assert parse_arrow(ARROW.encode([{"x": 1}, {"x": None}]), max_rows=10).to_pydict() == {"x": [1, None]}
    assert ARROW.content_type == ARROW_STREAM


@pytest.mark.parametrize("faulty", [[], [0], [1], [0, 1, 2]])
def test_arrow_answers(faulty: list[int]) -> None:
    schema = OutputSchema([Output("source"), Output("b", width=2)])
    values = np.array([[0.1, 1, 2], [0.2, 3, 4], [0.3, 5, 6]], np.float32)
    source = np.array([Source.TABLE, Source.MODEL, Source.DEFAULT], np.uint8)
    values[faulty], source[faulty] = np.nan, Source.NONE
    faults = {row: InvalidInput(f"no {row}", cause="null", feature="x") for row in faulty}
    found = ARROW.decode(render_arrow(Answers(values, source, faults), schema, 4), HEADERS)
    assert found.values["source"].tobytes() == values[:, 0].tobytes()
    assert np.array_equal(found.values["b"], values[:, 1:], equal_nan=True)
    words = ["none" if row in faulty else word for row, word in enumerate(("table", "model", "default"))]
    assert found.sources.tolist() == words
    assert found.rows_by_source == {word: 1 for word in words if word != "none"}
    assert [(row, str(fault), fault.cause, fault.feature) for row, fault in found.faults.items()] == [
        (row, f"no {row}", "null", "x") for row in faulty
    ]


def test_what_has_no_form() -> None:
    with pytest.raises(InvalidInput, match="must have a JSON form"):
        JSON.encode([{"x": b"bytes"}])
    with pytest.raises(InvalidInput, match="must be of one Arrow type"):
        ARROW.encode([{"x": 1}, {"x": "1"}])
    with pytest.raises(BadSettings, match="must be that of a Foretable server"):
        JSON.decode(b'{"predictions":[1]}', {})
