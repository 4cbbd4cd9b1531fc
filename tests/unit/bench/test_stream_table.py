from __future__ import annotations

from bench.stream_peers.table import strided


def test_ordinals_are_sums_of_what_each_text_adds() -> None:
    # Two rows of three: (b, y) is the fifth.
    features = dict(strided({"first": ["a", "b"], "last": ["x", "y", "z"]}))
    assert list(features) == ["first", "last"]
    assert features["first"]["b"] + features["last"]["y"] == 4
    assert features["first"]["a"] + features["last"]["x"] == 0
