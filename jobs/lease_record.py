"""One record of a lock: who holds it, and until when.

A time is seconds since the epoch here, and UTC to the millisecond in the file, where people read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from engine.errors import BadArtifact
from engine.manifest import new_manifest, parse_manifest, seal, time_text

KIND, VERSION = "lease", 1

# How far two hosts' clocks may be apart, in either direction; NTP keeps them within a second. Another run takes the
# lease only this long after its end. Smaller: a host whose clock is ahead takes a lease that is still held (the holder
# notices at its next renewal). Larger: everybody waits longer after a kill.
SKEW_S = 5.0


@dataclass(frozen=True, kw_only=True)
class LeaseRecord:
    """One record of a lock.

    Attributes:
        number: from 1 up; the lowest are pruned.
        host: name of the holder's host.
        pid: the holder's process there.
        nonce: random, one for each ``Lease``: a process id comes again, this does not.
        time: when it was written, in seconds since the epoch on the holder's clock.
        until: when it ends, on the same clock.
        released: whether the holder has finished.
    """

    number: int
    host: str
    pid: int
    nonce: str
    time: float
    until: float
    released: bool

    def is_free(self, now: float) -> bool:
        """Whether another run may take the lock now, on whatever host."""
        return self.released or now > self.until + SKEW_S

    def to_bytes(self) -> bytes:
        """Return the record as a sealed manifest."""
        times = {name: time_text(self.__dict__[name], timespec="milliseconds") for name in ("time", "until")}
        return seal(new_manifest(KIND, VERSION, **{**self.__dict__, **times}))

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Self:
        """Read what ``to_bytes`` wrote.

        Raises:
            BadArtifact: it is damaged, or of another format.
        """
        fields = parse_manifest(data, kind=KIND, version=VERSION, where=where)
        try:
            times = {name: datetime.fromisoformat(fields[name]).timestamp() for name in ("time", "until")}
            return cls(**{**{name: fields[name] for name in cls.__dataclass_fields__}, **times})
        except (KeyError, TypeError, ValueError) as error:
            message = f"{where}: must have the fields of a lease's record; got {error!r}. It is damaged"
            raise BadArtifact(message) from error
