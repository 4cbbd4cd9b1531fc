"""Tasks for tests of runners: worker processes import them from here."""

from __future__ import annotations

import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadArtifact, InvalidInput, Unavailable
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Square:
    """Squares the split's number."""

    def __call__(self, split: int, /) -> int:
        return split * split


@dataclass(frozen=True)
class Failing:
    """Raises an error at one split."""

    at: int
    kind: str

    def __call__(self, split: int, /) -> int:
        if split != self.at:
            return split
        message = f"feature 'city' must be known; got 'Nowhere' at split {split}. Fix the row"
        if self.kind == "input":
            raise InvalidInput(message, cause="unknown_category", feature="city")
        if self.kind == "artifact":
            raise BadArtifact(message)
        if self.kind == "bug":
            raise ValueError(message)
        raise Unavailable(message)


@dataclass(frozen=True)
class Refusing:
    """Refuses the first split; every other one waits until it has, and leaves a file in ``folder``."""

    folder: str

    def __call__(self, split: int, /) -> int:
        refused = Path(self.folder) / "refused"
        if split == 0:
            refused.touch()
            message = "split 0 is damaged. Mend it"
            raise BadArtifact(message)
        wait_until(refused.exists, what="split 0 is refused")
        (Path(self.folder) / str(split)).touch()
        return split


@dataclass(frozen=True)
class Hopeless:
    """Fails at one split whenever it is tried, and leaves a file in ``folder`` for each try."""

    at: int
    folder: str

    def __call__(self, split: int, /) -> int:
        if split == self.at:
            return Down(self.folder)(split)
        return split


@dataclass(frozen=True)
class Down:
    """Finds the storage down at every split, and leaves a file in ``folder`` for each try."""

    folder: str

    def __call__(self, split: int, /) -> int:
        (Path(self.folder) / f"{split}-{secrets.token_hex(8)}").touch()
        message = "the storage is down. Try again"
        raise Unavailable(message)


@dataclass(frozen=True)
class Dying:
    """Kills its own worker at one split, as the kernel does when memory runs out."""

    at: int

    def __call__(self, split: int, /) -> int:
        if split == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return split


@dataclass(frozen=True)
class FailingOnce:
    """Fails at one split the first time that it is tried: by an error worth another try, or by killing its worker."""

    at: int
    kind: str
    folder: str

    def __call__(self, split: int, /) -> int:
        tried = Path(self.folder) / f"{split}.tried"
        if split == self.at and not tried.exists():
            tried.touch()
            if self.kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            message = "the storage is down. Try again"
            raise Unavailable(message)
        return split


@dataclass(frozen=True)
class Stuck:
    """Writes its process id to ``folder`` and waits for ``folder/go``, which nobody makes."""

    folder: str

    def __call__(self, split: int, /) -> int:
        (Path(self.folder) / f"{os.getpid()}.pid").touch()
        wait_until((Path(self.folder) / "go").exists, what="the test lets go", timeout_s=200)
        return split
