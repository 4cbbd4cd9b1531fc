"""Where splits are near: bytes by host, and the best three."""

from __future__ import annotations

import pytest

from jobs.block_hosts import held_bytes, near_hosts
from jobs.runner import FileRange

TWO_BLOCKS = ["0,100,a,b", "100,50,b,c"]


@pytest.mark.parametrize(
    "blocks, start, size_bytes, expected",
    [
        (TWO_BLOCKS, 0, 150, {"a": 100, "b": 150, "c": 50}),
        (TWO_BLOCKS, 90, 20, {"a": 10, "b": 20, "c": 10}),
        (TWO_BLOCKS, 100, 10, {"b": 10, "c": 10}),
        (TWO_BLOCKS, 150, 10, {}),
        (["0,100(corrupt),a", "100,50,b"], 0, 150, {"b": 50}),
        (["0,100"], 0, 100, {}),
        ([], 0, 1, {}),
    ],
)
def test_bytes_of_a_range_by_host(blocks: list[str], start: int, size_bytes: int, expected: dict[str, int]) -> None:
    assert held_bytes(blocks, FileRange("hdfs://x/f", start, size_bytes)) == expected


def test_hosts_with_most_bytes_of_all_ranges_come_first_and_there_are_three() -> None:
    blocks = {"one": ["0,10,d,e"], "two": ["0,30,c,b,a"]}
    inputs = [[FileRange("one", 0, 10), FileRange("two", 0, 30)], [FileRange("one", 0, 10)], []]
    assert near_hosts(inputs, lambda wanted: blocks[wanted.url]) == [["a", "b", "c"], ["d", "e"], []]
