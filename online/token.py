"""The bearer tokens that requests must carry, where the server has a file of them."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from engine.errors import BadSettings

_log = logging.getLogger(__name__)
_SHORTEST = 16


class Tokens:
    """The tokens of a file, one a line; ``#`` begins a comment.

    Several hold at once, so that they can be changed without a pause: add the new, move the clients, remove the old.
    """

    def __init__(self, path: str) -> None:
        """Read the file.

        Raises:
            BadSettings: it cannot be read, holds no token, or one that is too short or not ASCII.
        """
        self._path = Path(path)
        self._stamp, self._accepted = self._read()
        self._problem = ""

    def accept(self, authorization: str | None) -> bool:
        """Return whether the value of an ``Authorization`` header carries one of the tokens."""
        if authorization is None or not authorization.isascii():
            return False
        scheme, _, token = authorization.partition(" ")
        given = f"{scheme.title()} {token}".encode()  # a scheme is of either case (RFC 9110)
        # All are compared, each in constant time: how long this takes tells nothing.
        return any([hmac.compare_digest(given, accepted) for accepted in self._accepted])  # noqa: C419

    def refresh(self) -> None:
        """Read the file again where it has changed; one that cannot be used changes nothing and is logged."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp, self._accepted = self._read()
                _log.info("%s: %d tokens hold now", self._path, len(self._accepted))
            self._problem = ""
        except (OSError, BadSettings) as error:
            if str(error) != self._problem:  # once, not at every look
                _log.error("tokens stay as they were: %s", error)
            self._problem = str(error)

    def _read(self) -> tuple[int, list[bytes]]:
        try:
            stamp = self._path.stat().st_mtime_ns
            lines = self._path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            message = f"--token-file must be a readable file of ASCII tokens, one a line; got {self._path}: {error}"
            raise BadSettings(message) from error
        tokens = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not tokens or any(len(token) < _SHORTEST or " " in token for token in tokens):
            message = (
                f"{self._path}: must have one token of {_SHORTEST} or more characters a line; got {len(tokens)} lines"
            )
            raise BadSettings(message)
        return stamp, [f"Bearer {token}".encode() for token in tokens]
