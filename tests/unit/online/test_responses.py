from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.answer import Answer, Answers, Source
from engine.wire.output_json import to_json
from online.config import ServeConfig
from online.responses import Renderer, counted, etag_matches
from online.served import ServedHolder
from tests.support.synthetic import FINITE_NAME

ROWS = np.array([[0.1, -0.5, 0.25], [1e-7, 16777216.0, 3e38]], np.float32)


@pytest.fixture
def renderer(served: tuple[ServeConfig, ServedHolder]) -> Renderer:
    return served[1].get(FINITE_NAME).renderer


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_reads_back_to_the_same_bits_and_no_digit_is_spare(value: float) -> None:
    text = to_json(np.float32(value)).decode()
    assert np.float32(float(text)).tobytes() == np.float32(value).tobytes()
    assert to_json(np.array([value], np.float32)).decode() == f"[{text}]"
    digits = text.partition("e")[0].lstrip("-").replace(".", "").strip("0")
    assert len(digits) <= 9  # nine significant digits tell all float32 apart


def test_row_names_outputs_source_and_release(renderer: Renderer) -> None:
    body = renderer.row(Answer(tuple(ROWS[0].tolist()), Source.TABLE))
    assert body == b'{"model":"synthetic","release":1,"source":"table","outputs":{"click":0.1,"share":[-0.5,0.25]}}'


def test_bodies_in_rows_and_in_columns(renderer: Renderer) -> None:
    assert json.loads(renderer.predictions(ROWS)) == {
        "predictions": [{"click": 0.1, "share": [-0.5, 0.25]}, {"click": 1e-7, "share": [16777216.0, 3e38]}]
    }
    assert json.loads(renderer.outputs(ROWS)) == {
        "outputs": {"click": [0.1, 1e-7], "share": [[-0.5, 0.25], [16777216.0, 3e38]]}
    }


@pytest.mark.parametrize(
    "sources, header",
    [([1, 1], "table"), ([2, 2], "model"), ([1, 2], "table=1, model=1")],
)
def test_batch_headers_count_sources(renderer: Renderer, sources: list[int], header: str) -> None:
    counts = counted(Answers(ROWS, np.array(sources, np.uint8)).rows_by_source())
    lines = renderer.batch_headers(counts, b"{}").split(b"\r\n")
    assert {b"Content-Length: 2", f"Foretable-Source: {header}".encode(), b"Foretable-Release: 1"} <= set(lines)


def test_tag_tells_table_from_model(renderer: Renderer) -> None:
    assert renderer.etags[Source.TABLE] != renderer.etags[Source.MODEL]


@pytest.mark.parametrize(
    "header, matches",
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_if_none_match(header: str, matches: bool) -> None:
    assert etag_matches(header, '"a"') is matches
