"""Outputs: declarations, layout and JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from engine.errors import BadSettings
from engine.output import Output, OutputSchema

SCHEMA = OutputSchema(
    [
        Output("click"),
        Output("topic", width=3, range=(-1, 2), labels=("a", "b", "c"), parents={"b": "a"}),
        Output("share", width=2, group="rates"),
    ]
)


def test_outputs_lie_side_by_side() -> None:
    assert SCHEMA.width == 6
    assert SCHEMA.names == ("click", "topic", "share")
    assert SCHEMA.slices == {"click": slice(0, 1), "topic": slice(1, 4), "share": slice(4, 6)}


def test_a_row_by_name() -> None:
    assert SCHEMA.named((1.0, 2.0, 3.0, 4.0, 5.0, 6.0)) == {
        "click": 1.0,
        "topic": [2.0, 3.0, 4.0],
        "share": [5.0, 6.0],
    }


def test_json_goes_there_and_back() -> None:
    again = OutputSchema.from_json(json.loads(json.dumps(SCHEMA.to_json())))
    assert again.outputs == SCHEMA.outputs


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"name": "a b"}, "identifier"),
        ({"width": 0}, "width >= 1"),
        ({"range": (1, 1)}, "range low < high"),
        ({"range": (1, 0)}, "range low < high"),
        ({"range": (0, math.inf)}, "finite range"),
        ({"range": (math.nan, 1)}, "finite range"),
        ({"labels": ("a", "b")}, "one label per value: 1; got 2"),
        ({"parents": {"a": "b"}}, r"must name its labels; got \['a', 'b'\]"),
        ({"default": 2.0}, "default of 1 values within its range; got 2.0"),
        ({"default": math.nan}, "within its range"),
        ({"width": 2, "default": (0.5,)}, "default of 2 values"),
        ({"width": 2, "labels": ("a", "b"), "parents": {"a": "c"}}, r"got \['c'\]"),
    ],
)
def test_a_wrong_output_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        Output(**{"name": "x", **fields})


def test_names_must_be_distinct() -> None:
    with pytest.raises(BadSettings, match="'x' twice"):
        OutputSchema([Output("x"), Output("x")])


def test_there_must_be_an_output() -> None:
    with pytest.raises(BadSettings, match="at least one output"):
        OutputSchema([])


@pytest.mark.parametrize("items", [[{"name": "x", "unit": "m"}], [{}], [{"name": "x", "range": [1]}]])
def test_wrong_json_is_refused(items: list[dict[str, object]]) -> None:
    with pytest.raises(BadSettings, match="outputs must be a list of name, width"):
        OutputSchema.from_json(items)


def test_defaults_stand_side_by_side_once_every_output_declares_one() -> None:
    click, share = Output("click", default=0.5), Output("share", width=2, default=1)
    schema = OutputSchema([click, Output("share", width=2, default=(0.25, 0.75))])
    assert schema.default == (0.5, 0.25, 0.75)
    assert OutputSchema([click, share]).default == (0.5, 1.0, 1.0)
    assert OutputSchema([click, Output("share", width=2)]).default is None
    again = OutputSchema.from_json(json.loads(json.dumps(schema.to_json())))
    assert (again.outputs, again.default) == (schema.outputs, schema.default)


def test_output_without_a_default_is_written_as_before_there_were_any() -> None:
    assert "default" not in Output("click").to_json()
