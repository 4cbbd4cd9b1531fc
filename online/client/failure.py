"""What an answer that is no prediction, or no answer at all, means for the caller."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import orjson
import pyarrow as pa

from engine.errors import BadSettings, EngineBug, ForetableError, InvalidInput, NotFound

_LONGEST_TEXT = 2000
# What reading raises where an answer is not what was asked for.
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, pa.ArrowException)


def told(response: httpx.Response) -> str:
    """Return the server's own message, or the beginning of what came instead of one."""
    try:
        document = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("error"), str):
        return str(document["error"])[:_LONGEST_TEXT]
    return f"{response.status_code} {response.reason_phrase} {response.text[:200]!r}"


def refusal(response: httpx.Response, request_id: str) -> ForetableError:
    """Return the error for a status that asking again would not change. Its class is the caller's next move."""
    status = response.status_code
    message = f"{told(response)} ({status}, request {request_id})"
    if status in {401, 403}:
        return BadSettings(message)
    if status == 404:
        return NotFound(message)
    if 400 <= status < 500:
        return InvalidInput(message, cause="too_many_rows" if status == 413 else "refused")
    if status >= 500:
        return EngineBug(message)
    where = f"{response.request.method} {response.request.url}"
    message = f"{where} must be answered with 200; got {message}. Give the url of the server itself"
    return BadSettings(message)


def settings_at_fault(error: httpx.RequestError) -> BadSettings | None:
    """Return the error where a request cannot ever be sent, or None where trying again may help."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            message = f"the server's certificate must be one that verify trusts; got {seen}. Give verify='ca.pem'"
            return BadSettings(message)
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        message = f"url and headers must be such as HTTP allows; got {error}"
        return BadSettings(message)
    return None


@contextmanager
def reading(response: httpx.Response) -> Iterator[None]:
    """Raise ``BadSettings`` where what is done inside finds that an answer is none of a Foretable server's."""
    try:
        yield
    except _UNREADABLE as error:
        where = f"{response.request.method} {str(response.request.url).partition('?')[0]}"
        got = f"{response.status_code} with {len(response.content)} bytes that cannot be read"
        message = (
            f"{where} must be answered as a Foretable server does; got {got} ({type(error).__name__}: "
            f"{str(error)[:200]}). Give the url of the server itself"
        )
        raise BadSettings(message) from error
