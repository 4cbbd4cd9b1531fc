"""What is to be sent, as it comes: standard input may keep one waiting while answers arrive."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator

from streaming.asking.rows import Asked

# More would be read of a large input than is sent; fewer, and the sender waits for the reader.
_AHEAD = 1000
_WAIT_S = 0.01


class Feed:
    """Reads requests in a thread of its own, which ends with the program."""

    def __init__(self, requests: Iterable[Asked]) -> None:
        """Begin to read."""
        self._requests = requests
        self._ahead: queue.Queue[Asked | BaseException | None] = queue.Queue(_AHEAD)  # None is the end
        threading.Thread(target=self._read, name="reading", daemon=True).start()

    def __iter__(self) -> Iterator[Asked | None]:
        """Yield the requests, and None where there is none yet; raise what reading them raised."""
        while True:
            try:
                found = self._ahead.get(timeout=_WAIT_S)
            except queue.Empty:
                yield None
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found

    def _read(self) -> None:
        try:
            for request in self._requests:
                self._ahead.put(request)
            self._ahead.put(None)
        except Exception as error:
            self._ahead.put(error)
