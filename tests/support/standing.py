"""``python -m services`` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.process import ProcessIdentity
from tests.support.programs import Finished, python


class Standing:
    """The command, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str) -> Finished:
        return python("services", *arguments, environment={"SERVICES_DIR": str(self.directory)})

    def processes(self) -> dict[str, ProcessIdentity]:
        """Return the daemons' processes, by name."""
        found = json.loads((self.directory / "state.json").read_text())["processes"]
        return {name: ProcessIdentity(**process) for name, process in found.items()}


@contextmanager
def standing_services(directory: Path) -> Iterator[Standing]:
    """Give the command; nothing is left of what it starts."""
    services = Standing(directory)
    try:
        yield services
    finally:
        ended = services("down", "--wipe")
        assert ended.code == 0, ended.err
