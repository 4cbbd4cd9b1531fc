"""What answers requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from online.http.reply import Reply
from online.http.request import Request

Send = Callable[[Reply], None]


class Application(Protocol):
    """Answers requests. All is called on the event loop's thread, and must not block it."""

    def refuse(self, request: Request) -> Reply | None:
        """Look at the head of a request whose body is still to come; a reply refuses it, and the body is not read."""

    def answer(self, request: Request, send: Send) -> None:
        """Answer: call ``send`` once, now or later, on this thread. Must raise nothing."""

    def fault(self, request: Request, code: int, text: str) -> Reply:
        """Return the reply to what could not be read as a request, or came too slowly, or is too large.

        Args:
            request: as much of it as is known.
            code: the status.
            text: what must be otherwise.
        """
