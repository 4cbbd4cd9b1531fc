from __future__ import annotations

import numpy as np

from bench.load.topic_open_loop import PATIENCE_S, latencies

# Due every 10 ms from 100 s on; the third and fourth were sent when the fourth was due.
SENT_S = np.array([100.0, 100.01, 100.03, 100.03])


def test_latency_begins_when_a_request_was_due() -> None:
    found = latencies(SENT_S, SENT_S + 0.005, start_s=100.0, rate=100, warm_s=0.0)
    np.testing.assert_allclose(found.latency_s, [0.005, 0.005, 0.015, 0.005], atol=1e-9)
    np.testing.assert_allclose(found.lag_s, [0, 0, 0.01, 0], atol=1e-9)
    assert found.unanswered == 0


def test_what_is_due_while_it_warms_up_does_not_count() -> None:
    found = latencies(SENT_S, SENT_S + 0.005, start_s=100.0, rate=100, warm_s=0.015)
    np.testing.assert_allclose(found.latency_s, [0.015, 0.005], atol=1e-9)


def test_no_answer_counts_as_a_slow_one() -> None:
    seen_s = np.array([100.005, np.nan, 100.035, 100.035])
    found = latencies(SENT_S, seen_s, start_s=100.0, rate=100, warm_s=0.0)
    assert found.unanswered == 1
    assert found.percentile_s(0.99) == PATIENCE_S
    assert found.percentile_s(0.75) < 0.02
    assert "1 not answered" in found.described()
