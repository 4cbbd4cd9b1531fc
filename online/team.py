"""The workers of one server, where there are several: what they share lies in a folder that only they have."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from online.snapshot import Snapshot

# A table's copy that no worker serves any more stays so long, for one that is late to load the release.
_KEPT_S = 600.0


@dataclass(frozen=True)
class Team:
    """One worker's place among the others.

    Attributes:
        folder: of tables that all map, and of what each has counted.
        number: this worker's.
    """

    folder: str
    number: int

    def tell(self, snapshot: Snapshot) -> None:
        """Show the others what this worker has counted so far."""
        target = Path(self.folder) / f"{self.number}.counts"
        temporary = target.with_suffix(".new")
        temporary.write_bytes(snapshot.to_json())
        temporary.replace(target)

    def total(self) -> Snapshot:
        """Return what all workers have told: this one's latest counts are in it once they are told, so none falls."""
        return Snapshot.total(Snapshot.from_json(file.read_bytes()) for file in Path(self.folder).glob("*.counts"))

    def prune(self, serving: Iterable[str]) -> None:
        """Remove the copies of tables whose keys are not these; who has one mapped keeps it."""
        kept = {f"{key}.table" for key in serving}
        for file in Path(self.folder).glob("*.table"):
            with suppress(FileNotFoundError):  # another worker was quicker
                if file.name not in kept and file.stat().st_mtime < time.time() - _KEPT_S:
                    file.unlink()
