"""Checkpoints: all that a training run needs to go on as if it had never stopped, one file an epoch.

``<run>/checkpoint-000003.npz`` holds every variable of the model and the optimizer, in order (``v000000``, …), and a
JSON text (``state``). The file's last 32 bytes are the SHA-256 of those before; readers of ``.npz`` do not mind them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BadArtifact, BadSettings
from engine.manifest import canonical_json
from engine.storage import Storage

VERSION = 1
_NAME = re.compile(r"checkpoint-(\d{6})\.npz")
_DIGEST_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What must be the same for a run to go on: weights after a resume equal those of a run that never stopped.

    Attributes:
        space: the feature space's fingerprint.
        outputs: the SHA-256 of the outputs' declaration.
        data: the SHA-256 of the encoded training rows and labels.
        batch_rows: rows a step.
        seed: of weights and shuffles.
    """

    space: str
    outputs: str
    data: str
    batch_rows: int
    seed: int


_WORDS = {
    "space": "the feature space of fingerprint",
    "outputs": "outputs whose declaration has the SHA-256",
    "data": "training data whose SHA-256 is",
    "batch_rows": "batch_rows",
    "seed": "the seed",
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after an epoch.

    Attributes:
        epoch: how many are done.
        best_epoch: the one of the lowest validation loss.
        best_loss: that loss.
        history: one ``{"epoch", "loss", "validation_loss"}`` per epoch.
        identity: of the run.
        definition: the SHA-256 of the definition's file.
        names: of the variables.
        arrays: their values, in the same order.
    """

    epoch: int
    best_epoch: int
    best_loss: float
    history: list[dict[str, float]]
    identity: Identity
    definition: str
    names: Sequence[str]
    arrays: Sequence[npt.NDArray[Any]]

    def check_identity(self, here: Identity, *, where: str) -> None:
        """Hold the run that would go on against the one that was stopped.

        Raises:
            BadSettings: they differ.
        """
        for field in fields(Identity):
            before, now = getattr(self.identity, field.name), getattr(here, field.name)
            if before != now:
                message = (
                    f"{where}: a resumed run must have {_WORDS[field.name]} {before}, as it had when it stopped; "
                    f"got {now}. Go back to that, or start a new run: leave out --resume"
                )
                raise BadSettings(message)


def write_checkpoint(storage: Storage, folder: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint under its epoch's number.

    Raises:
        AlreadyExists: another process trains this run.
        Unavailable: the disk is full, or the storage is down; the checkpoints before are untouched.
    """
    state = {"version": VERSION, **asdict(checkpoint)}
    arrays = {f"v{place:06d}": array for place, array in enumerate(state.pop("arrays"))}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, state=np.frombuffer(canonical_json(state), np.uint8), **arrays)
    buffer.write(hashlib.sha256(buffer.getbuffer()).digest())
    storage.create_with(f"{folder}/{_name(checkpoint.epoch)}", lambda file: file.write(buffer.getbuffer()))


def epochs_of(storage: Storage, folder: str) -> list[int]:
    """Return the epochs that have a checkpoint, ascending."""
    matches = (_NAME.fullmatch(name) for name in storage.names(folder))
    return sorted(int(match[1]) for match in matches if match)


def latest_checkpoint(storage: Storage, folder: str) -> Checkpoint | None:
    """Read the checkpoint of the highest epoch, or None where there is none; raises as ``read_checkpoint``."""
    epochs = epochs_of(storage, folder)
    return read_checkpoint(storage, folder, epochs[-1]) if epochs else None


def read_checkpoint(storage: Storage, folder: str, epoch: int) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        NotFound: there is none of that epoch.
        BadArtifact: it is damaged, or of a version that is not known here.
    """
    where = f"{folder}/{_name(epoch)}"
    data = storage.read(where)
    content, wanted, found = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:], hashlib.sha256(data[:-_DIGEST_BYTES])
    if found.digest() != wanted:
        message = (
            f"{where}: must have the SHA-256 {wanted.hex()[:16]}…; got {found.hexdigest()[:16]}…. "
            "The file is damaged: remove it, and the run resumes from the epoch before"
        )
        raise BadArtifact(message)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        state: dict[str, Any] = json.loads(archive["state"].tobytes())
        if state.pop("version", None) != VERSION:
            message = f"{where}: must be of checkpoint version {VERSION}. Resume with the foretable that wrote it"
            raise BadArtifact(message)
        arrays = [archive[f"v{place:06d}"] for place in range(len(state["names"]))]
    return Checkpoint(**{**state, "identity": Identity(**state["identity"])}, arrays=arrays)


def _name(epoch: int) -> str:
    return f"checkpoint-{epoch:06d}.npz"
