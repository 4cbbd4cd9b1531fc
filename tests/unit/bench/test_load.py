from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from bench.load.open_loop import from_due, percentile, read_csv
from bench.load.request import Request, json_request, write_raw, write_targets
from engine.errors import BadSettings, Unavailable

MS = 1_000_000


def line(number: int, sent_ns: int, code: int, latency_ns: int) -> str:
    """Return a line as vegeta writes it."""
    return f"{sent_ns},{code},{latency_ns},10,20,some error,,attack,{number},GET,http://127.0.0.1/,\n"


def test_latency_begins_when_a_request_was_due() -> None:
    # Due every 10 ms. The generator stalled before the third, and caught up with the fifth.
    sent_ns = np.array([0, 10, 50, 51, 52, 53]) * MS
    lag_s, latency_s = from_due(sent_ns, np.full(6, 2 * MS), rate=100)
    np.testing.assert_allclose(lag_s, [0, 0, 0.030, 0.021, 0.012, 0.003], atol=1e-12)
    np.testing.assert_allclose(latency_s, lag_s + 0.002)


def test_first_request_that_was_late_itself() -> None:
    lag_s, _ = from_due(np.array([7, 10, 20]) * MS, np.zeros(3, np.int64), rate=100)
    np.testing.assert_allclose(lag_s, [0.007, 0, 0], atol=1e-12)


def test_lines_are_put_in_the_order_in_which_they_were_due() -> None:
    text = line(1, 10 * MS, 503, MS) + line(0, 0, 200, 5 * MS) + line(2, 20 * MS, 0, 0)
    found = read_csv(text, rate=100, due=5)
    assert found.code.tolist() == [200, 503, 0]
    assert found.answered.tolist() == [True, False, False]
    np.testing.assert_allclose(found.due_s, [0, 0.01, 0.02])
    assert found.percentile_s(0.99) == pytest.approx(0.005)
    assert found.percentile_s(0.99, code=503) == pytest.approx(0.001)
    assert found.counted() == "no answer: 1, 200: 1, 503: 1, not sent: 2"


def test_what_is_not_answered_is_not_fast() -> None:
    loop = read_csv(line(0, 0, 200, 5 * MS) + line(1, 10 * MS, 503, MS), rate=100, due=4)
    assert [loop.percentile_of_all_s(share) for share in (0.25, 0.26, 1)] == [0.005, 10, 10]


def test_nothing_sent() -> None:
    with pytest.raises(Unavailable, match="must have sent a request"):
        read_csv("", rate=1, due=1)


def test_no_answer_of_a_code() -> None:
    with pytest.raises(BadSettings, match="must be answered with 503; got 200: 1"):
        read_csv(line(0, 0, 200, 1), rate=1, due=1).percentile_s(0.5, code=503)


@pytest.mark.parametrize("share, expected", [(0.5, 5.0), (0.51, 6.0), (0.99, 10.0), (0.01, 1.0)])
def test_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile(np.arange(10, 0, -1.0), share) == expected


def test_request_as_http_has_it(tmp_path: Path) -> None:
    post = json_request("/p", {"a": "é"})
    assert post.raw() == (
        b"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n"
        b'{"a":"\xc3\xa9"}'
    )
    file = tmp_path / "requests"
    write_raw([Request("/a"), post], file)
    assert file.read_bytes() == b"00000036GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"00000099" + post.raw()


def test_request_as_a_target(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    write_targets([json_request("/p?q=1", [1])], 8123, file)
    assert orjson.loads(file.read_bytes()) == {
        "method": "POST",
        "url": "http://127.0.0.1:8123/p?q=1",
        "header": {"Content-Type": ["application/json"]},
        "body": "WzFd",
    }
