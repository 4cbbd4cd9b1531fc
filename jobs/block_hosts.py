"""Which hosts hold most of what a split reads, by the blocks of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from jobs.runner import FileRange

# As many as HDFS keeps replicas: with fewer, a busy host holds tasks up, and more have little of the data.
_HOSTS = 3
# An answer takes about a millisecond; many more at once would crowd out the NameNode's other clients.
_QUESTIONS_AT_ONCE = 16


def near_hosts(inputs: Sequence[Sequence[FileRange]], locate: Callable[[FileRange], Sequence[str]]) -> list[list[str]]:
    """Return the hosts of each split's input, at most three, those with most of its bytes first.

    Args:
        inputs: what each split reads.
        locate: returns the blocks of a range, as ``held_bytes`` takes them; called by many threads.
    """

    def near(ranges: Sequence[FileRange]) -> list[str]:
        held: Counter[str] = Counter()
        for wanted in ranges:
            held.update(held_bytes(locate(wanted), wanted))
        return sorted(held, key=lambda host: (-held[host], host))[:_HOSTS]

    with ThreadPoolExecutor(_QUESTIONS_AT_ONCE) as pool:
        return list(pool.map(near, inputs))


def held_bytes(blocks: Sequence[str], wanted: FileRange) -> dict[str, int]:
    """Return how many bytes of a range each host holds.

    Args:
        blocks: as Hadoop's BlockLocation prints itself: ``offset,length,host,host``, or ``offset,length(corrupt),host``
            where nobody can read it.
        wanted: the range.
    """
    held: Counter[str] = Counter()
    for block in blocks:
        offset, length, *hosts = block.split(",")
        if not length.isdecimal():
            continue
        start, stop = max(int(offset), wanted.start), min(int(offset) + int(length), wanted.start + wanted.size_bytes)
        if start < stop:
            held.update(dict.fromkeys(hosts, stop - start))
    return dict(held)
