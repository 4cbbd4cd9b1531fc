"""Letters as a table."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from streaming.letters.letter import Letter

_HEADS = ("letter", "time", "disposition", "cause", "feature", "attempts", "origin", "message")
_LEAST_MESSAGE = 20
_UNKNOWN = "-"


class Listing:
    """The newest letters, and counts of all."""

    def __init__(self, limit: int) -> None:
        """Keep so many."""
        self._limit = limit
        self._kept: list[tuple[int, int, int, Letter]] = []  # a heap: time, partition, offset
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, letters: Iterable[Letter]) -> None:
        """Take letters."""
        for letter in letters:
            self._counts[letter.disposition, letter.cause] += 1
            record = letter.record
            entry = (record.timestamp_ms, record.partition.number, record.offset, letter)
            if len(self._kept) < self._limit:
                heapq.heappush(self._kept, entry)
            else:
                heapq.heappushpop(self._kept, entry)

    @property
    def letters(self) -> list[Letter]:
        """Those kept, by time."""
        return [letter for *_, letter in sorted(self._kept)]

    def text(self, width: int) -> str:
        """Return the table, with messages cut so that lines are no longer than ``width``, and the counts."""
        lines = _table([_cells(letter) for letter in self.letters], width) if self._kept else []
        left_out = self._counts.total() - len(self._kept)
        if left_out:
            lines += ["", f"{left_out:,} older ones are not shown. --limit shows more"]
        return "\n".join([*lines, *([""] if lines else []), *self._totals()])

    def to_json(self) -> dict[str, object]:
        """Return the letters, without keys and values, and the counts, for JSON."""
        counts = [
            {"disposition": disposition, "cause": cause, "letters": count}
            for (disposition, cause), count in self._ordered()
        ]
        return {"letters": [letter_json(letter) for letter in self.letters], "counts": counts}

    def _totals(self) -> list[str]:
        lines = [f"{self._counts.total():,} dead letters"]
        return lines + [
            f"{count:>10,}  {printable(disposition) or _UNKNOWN}  {printable(cause) or _UNKNOWN}"
            for (disposition, cause), count in self._ordered()
        ]

    def _ordered(self) -> list[tuple[tuple[str, str], int]]:
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))


def letter_json(letter: Letter) -> dict[str, object]:
    """Return what a letter says about itself, for JSON; null where it does not say."""
    origin = None
    if letter.origin is not None:
        origin = {"topic": letter.origin.topic, "partition": letter.origin.number, "offset": letter.origin_offset}
    return {
        "letter": letter.place,
        "time": time_text(letter.record.timestamp_ms),
        "disposition": letter.disposition or None,
        "cause": letter.cause or None,
        "feature": letter.feature or None,
        "message": letter.message,
        "attempts": letter.attempts,
        "origin": origin,
        "replayable": letter.obstacle is None,
    }


def printable(text: str) -> str:
    """Return a text on one line, without what a terminal would obey: who sends requests decides what is in it."""
    return "".join(character if character.isprintable() else " " for character in text)


def time_text(timestamp_ms: int) -> str | None:
    """Return an instant of Unix time to the second, in UTC; None where there is none."""
    try:
        found = datetime.fromtimestamp(timestamp_ms / 1000, UTC) if timestamp_ms >= 0 else None
    except (ValueError, OverflowError, OSError):  # a producer may write any number
        return None
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if found else None


def origin_text(letter: Letter) -> str | None:
    """Return topic, partition and offset of the request."""
    if letter.origin is None:
        return None
    return f"{printable(letter.origin.topic)} {letter.origin.number}:{letter.origin_offset}"


def _cells(letter: Letter) -> list[str]:
    told = [
        letter.place,
        time_text(letter.record.timestamp_ms),
        printable(letter.disposition),
        printable(letter.cause),
        printable(letter.feature),
        str(letter.attempts),
        origin_text(letter),
        printable(letter.message),
    ]
    return [cell or _UNKNOWN for cell in told]


def _table(rows: Sequence[list[str]], width: int) -> list[str]:
    table = [list(_HEADS), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADS) - 1)]
    left = max(width - sum(widths) - 2 * len(widths), _LEAST_MESSAGE)
    lines = []
    for *cells, message in table:
        cut = message if len(message) <= left else message[: left - 1] + "…"
        lines.append("  ".join([cell.ljust(size) for cell, size in zip(cells, widths, strict=True)] + [cut]).rstrip())
    return lines
