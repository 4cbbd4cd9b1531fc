"""Labels: names that move, each by a numbered record that is created only if absent.

The label is its highest record; going back is one more record. A listing is a lower bound, so after it the next numbers
are probed. A record that cannot be read is never skipped: that would be a silent rollback.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from engine.errors import AlreadyExists, BadArtifact, BadSettings, LostRace
from engine.manifest import new_manifest, now_text, parse_manifest, seal
from engine.storage import Storage

KIND, VERSION = "label", 1
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """One move of a label.

    Attributes:
        number: from 1 up, without gaps.
        release: the number of the release it points to.
        reason: why, in the words of whoever moved it.
        time: UTC, ISO 8601.
        nonce: random: tells one's own record from another's after a write whose answer was lost.
    """

    number: int
    release: int
    reason: str
    time: str
    nonce: str


class Label:
    """One label of one model."""

    def __init__(self, storage: Storage, folder: str, name: str) -> None:
        """Name a label, which need not have a record yet.

        Raises:
            BadSettings: the name is not lower-case letters, digits and hyphens.
        """
        if not _NAME.fullmatch(name):
            message = f"a label must be lower-case letters, digits and hyphens, from a letter on; got {name[:80]!r}"
            raise BadSettings(message)
        self.name = name
        self._storage, self._folder = storage, f"{folder}/{name}"

    def head(self, known: int = 0) -> LabelRecord | None:
        """Return the highest record, or None where there is none.

        Args:
            known: a number that was seen before; the search never goes below it, and skips the listing.

        Raises:
            BadArtifact: the highest record cannot be read.
        """
        number = known or max((_number(name) for name in self._storage.names(self._folder)), default=0)
        while self._storage.exists(self._path(number + 1)):
            number += 1
        return self.record(number) if number else None

    def record(self, number: int) -> LabelRecord:
        """Read one record.

        Raises:
            NotFound: there is none of that number.
            BadArtifact: it is damaged.
        """
        path = self._path(number)
        try:
            fields = parse_manifest(self._storage.read(path), kind=KIND, version=VERSION, where=path)
            record = LabelRecord(**{key: fields[key] for key in ("number", "release", "reason", "time", "nonce")})
        except KeyError as error:
            message = f"{path}: must have the field {error}. The label's record is damaged: restore it"
            raise BadArtifact(message) from error
        if record.number != number:
            message = f"{path}: must be record {number}; got record {record.number}. It was moved by hand: restore it"
            raise BadArtifact(message)
        return record

    def history(self) -> list[LabelRecord]:
        """Return all records, oldest first."""
        head = self.head()
        return [self.record(number) for number in range(1, head.number + 1)] if head else []

    def move(self, release: int, *, after: LabelRecord | None, reason: str) -> LabelRecord:
        """Point the label to a release, if ``after`` is still its highest record.

        Raises:
            LostRace: somebody moved it meanwhile.
        """
        number = after.number + 1 if after else 1
        record = LabelRecord(number=number, release=release, reason=reason, time=now_text(), nonce=secrets.token_hex(8))
        try:
            self._storage.create(self._path(number), seal(new_manifest(KIND, VERSION, **record.__dict__)))
        except AlreadyExists as error:
            winner = self.record(number)
            if winner.nonce != record.nonce:  # else our own write, whose answer was lost on the way
                message = (
                    f"label {self.name!r} must still be at record {number - 1}; got record {number}: release "
                    f"{winner.release} ({winner.reason}). Publish again: the gate must compare with it"
                )
                raise LostRace(message) from error
        return record

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"


def _number(name: str) -> int:
    stem = name.removesuffix(".json")
    return int(stem) if stem.isdigit() else 0
