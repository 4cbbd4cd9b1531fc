"""What ``python -m services`` remembers between its calls: ports, and which processes are its own."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.errors import DamagedState
from services.process import ProcessIdentity


@dataclass
class State:
    """The content of ``state.json``.

    Attributes:
        ports: by name; kept after the processes' end, so that the next start takes the same.
        processes: by the daemon's name; some may have ended since.
    """

    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, ProcessIdentity] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> State:
        """Read the file; an empty state where there is none.

        Raises:
            DamagedState: it is no such file.
        """
        if not file.is_file():
            return cls()
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            processes = {name: ProcessIdentity(**process) for name, process in found["processes"].items()}
            return cls({str(name): int(port) for name, port in found["ports"].items()}, processes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = (
                f"{file}: must hold ports and processes as JSON; got {error!r}. "
                "Stop the daemons it speaks of by hand (`ps`), and remove it."
            )
            raise DamagedState(message) from error

    def save(self, file: Path) -> None:
        """Write the file, whole or not at all."""
        processes = {
            name: {"pid": process.pid, "started_s": process.started_s} for name, process in self.processes.items()
        }
        partial = file.with_name(f".{file.name}.partial")
        partial.write_text(json.dumps({"ports": self.ports, "processes": processes}, indent=2) + "\n", encoding="utf-8")
        partial.replace(file)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory for one call at a time; a second call waits."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
