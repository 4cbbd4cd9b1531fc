"""When to try again, on a clock that is moved by hand."""

from __future__ import annotations

import pytest

from online.client.retry import Retry, retry_after_s
from tests.support.manual_clock import ManualClock

NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    "headers, pause_s",
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "1.5"}, None),  # not of RFC 9110's grammar
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 21 Oct 99999999999999 07:28:40 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:40 GMT"}, 40.0),
        ({"Retry-After": "Wednesday, 21-Oct-15 07:28:40 GMT"}, 40.0),  # RFC 850
        ({"Retry-After": "Wed Oct 21 07:28:40 2015"}, 40.0),  # asctime
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT"}, 0.0),
        # The server's clock is two hours ahead: its own Date tells how long it means.
        ({"Retry-After": "Wed, 21 Oct 2015 09:28:40 GMT", "Date": "Wed, 21 Oct 2015 09:28:30 GMT"}, 10.0),
    ],
)
def test_retry_after(headers: dict[str, str], pause_s: float | None) -> None:
    assert retry_after_s(headers, NOW) == pause_s


def test_pauses_double_up_to_ten_seconds() -> None:
    tries = Retry(10, 1e9, clock=ManualClock(), chance=lambda: 1.0)
    assert [tries.next_pause_s() for _ in range(11)] == pytest.approx(
        [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, None]
    )
    assert tries.tries == 11


def test_jitter_is_full_and_never_shortens_what_the_server_asked() -> None:
    none = Retry(5, 1e9, clock=ManualClock(), chance=lambda: 0.0)
    half = Retry(5, 1e9, clock=ManualClock(), chance=lambda: 0.5)
    assert (none.next_pause_s(), half.next_pause_s()) == (0.0, 0.05)
    assert (none.next_pause_s(8.0), half.next_pause_s(8.0)) == (8.0, 9.0)
    assert half.next_pause_s(0.0) == 0.0


def test_the_limit_is_of_all_tries_together() -> None:
    clock = ManualClock()
    tries = Retry(5, 10.0, clock=clock, chance=lambda: 0.0)
    assert tries.next_pause_s(6.0) == 6.0
    clock.advance(6.0)
    assert tries.left_s == 4.0
    assert tries.next_pause_s(4.0) is None
    assert tries.next_pause_s(3.0) == 3.0
    clock.advance(30.0)
    assert (tries.left_s, tries.elapsed_s) == (0.0, 36.0)
    assert tries.next_pause_s() is None
