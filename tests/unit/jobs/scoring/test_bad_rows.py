from __future__ import annotations

import pytest

from engine.errors import Refused
from jobs.scoring.bad_rows import BadRowLimit, listed_causes


@pytest.mark.parametrize(
    "text, limit",
    [
        ("0", BadRowLimit(rows=0)),
        ("100", BadRowLimit(rows=100)),
        ("1", BadRowLimit(rows=1)),
        ("1.0", BadRowLimit(share=1.0)),
        ("0.5%", BadRowLimit(share=0.005)),
        ("100%", BadRowLimit(share=1.0)),
        ("0.005", BadRowLimit(share=0.005)),
        ("1e-3", BadRowLimit(share=0.001)),
    ],
)
def test_a_limit_as_people_write_it(text: str, limit: BadRowLimit) -> None:
    assert BadRowLimit.parse(text) == limit


@pytest.mark.parametrize("text", ["", "%", "-1", "1.5", "101%", "nan", "inf", "many", "\uff15"])
def test_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a number of rows, or a share such as 0\.5% or 0\.005; got"):
        BadRowLimit.parse(text)


@pytest.mark.parametrize(
    "limit, bad, rows, over",
    [
        ("2", 2, 10, False),
        ("2", 3, 10, True),
        ("2", 3, None, True),
        ("0", 0, 0, False),
        ("0", 1, None, True),
        ("10%", 1, 10, False),
        ("10%", 2, 10, True),
        ("10%", 2, None, False),  # there may be good rows to come
        ("0%", 1, 10, True),
        ("0%", 0, 0, False),
        ("100%", 10, 10, False),
    ],
)
def test_what_is_too_much(limit: str, bad: int, rows: int | None, over: bool) -> None:
    check = BadRowLimit.parse(limit).check
    if not over:
        check(bad, rows, {"null": bad}, {})
        return
    with pytest.raises(Refused, match=rf"may be bad \(--max-bad-rows\); got {bad} .*: null {bad}"):
        check(bad, rows, {"null": bad}, {})


def test_the_message_says_what_is_wrong_with_the_rows() -> None:
    with pytest.raises(Refused) as caught:
        BadRowLimit.parse("0.5%").check(
            1203,
            2000,
            {"null": 3, "unknown_category": 1200},
            {"unknown_category": "a.csv byte 7: feature 'city' must be known", "null": "b.csv byte 0: 'size' is null"},
        )
    assert str(caught.value).splitlines() == [
        "at most 0.500% of the rows may be bad (--max-bad-rows); got 1203 of 2000: unknown_category 1,200, null 3",
        "  null: b.csv byte 0: 'size' is null",
        "  unknown_category: a.csv byte 7: feature 'city' must be known",
    ]
    assert caught.value.exit_code == 65


def test_listed_causes() -> None:
    assert listed_causes({"null": 3, "malformed": 1200, "timeout": 3}) == "malformed 1,200, null 3, timeout 3"
    assert listed_causes({}) == ""
