"""The connection over which a server is measured: one, kept alive, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from engine.errors import BadSettings, EngineBug, InvalidInput, NotFound, Unavailable

TOO_LARGE = 413
_OK, _BUSY = 200, {429, 503}
_APP = re.compile(r"(?:^|,)\s*app\s*;(?:[^,]*;)?\s*dur=([0-9]+(?:\.[0-9]+)?)")
# A request that takes longer is no part of a profile, but a server that hangs.
_TIMEOUT_S = 60.0
# Somebody else's short burst passes within some tries; a server that is full for good would be measured never.
_MOST_TRIES = 5
_LONGEST_PAUSE_S, _USUAL_PAUSE_S = 30.0, 1.0


@dataclass(frozen=True)
class Reply:
    """An answer, timed.

    Attributes:
        status: 200, or 413 where the body was too large.
        seconds: from before the request was sent until the last byte of the answer was read.
        inside_s: what of it the server's application took, by ``Server-Timing``; None where the answer does not say.
        source: the header ``Foretable-Source``.
        release: the header ``Foretable-Release``.
        content: the body.
    """

    status: int
    seconds: float
    inside_s: float | None
    source: str
    release: str
    content: bytes


class Connection:
    """Asks for one model at one label, a request at a time. Use it in a ``with`` block.

    Attributes:
        place: the URL of the model at its label, for messages.
        shed: how many answers so far said that the server was too busy.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        label: str | None = None,
        token: str | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Look at the settings; nothing is sent.

        Raises:
            BadSettings: the URL, the model or the token is none.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.query or parts.fragment:
            message = f"URL must be like http://127.0.0.1:8000, with no query; got {url!r}"
            raise BadSettings(message)
        if not model or label == "":
            message = f"MODEL and --label must not be empty; got {model!r} and {label!r}"
            raise BadSettings(message)
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            message = "--token must be printable ASCII without spaces; got other characters. Give one line of the file"
            raise BadSettings(message)
        at = f"/labels/{quote(label, safe='')}" if label else ""
        self._path = f"{parts.path.rstrip('/')}/v1/models/{quote(model, safe='')}{at}"
        self.place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self._path}"
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, port, timeout=_TIMEOUT_S)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pause = pause
        self.shed = 0

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def metadata(self) -> Mapping[str, object]:
        """Return the model's metadata.

        Raises:
            BadSettings: it is not what a Foretable server says; and as ``predict``.
        """
        content = self._ask("GET", "/metadata", None, {}).content
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("foretable"), dict):
            message = (
                f"{self.place}/metadata: must describe a model as Foretable does; got {content[:80]!r}. "
                "Give the URL of 'foretable serve'"
            )
            raise BadSettings(message)
        return document

    def predict(self, body: bytes, content_type: str) -> Reply:
        """Send one body; where the server is too busy, wait as long as it asks and send it again.

        Raises:
            Unavailable: there is no server, it hangs, or it stays too busy.
            NotFound: it does not serve the model at the label.
            BadSettings: it wants another token, or a certificate is not trusted.
            InvalidInput: it refuses the rows.
            EngineBug: it fails.
        """
        return self._ask("POST", ":predict", body, {"Content-Type": content_type})

    def _ask(self, method: str, suffix: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        for _ in range(_MOST_TRIES):
            response, reply = self._exchange(method, suffix, body, headers)
            if reply.status not in _BUSY:
                break
            self.shed += 1
            pause_s = retry_after_s(response.getheader("Retry-After"))
            if pause_s > _LONGEST_PAUSE_S:
                message = (
                    f"{self.place}: must take requests now; got {reply.status} with Retry-After of {pause_s:.0f} s"
                )
                raise Unavailable(message)
            self._pause(pause_s)
        else:
            message = (
                f"{self.place}: must take one request at a time; got {reply.status} {_MOST_TRIES} times in a row, "
                "each after the pause that it asked for. Measure a server that has no other load"
            )
            raise Unavailable(message)
        if reply.status not in {_OK, TOO_LARGE}:
            raise self._refusal(reply)
        return reply

    def _exchange(
        self, method: str, suffix: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, Reply]:
        reused = self._connection.sock is not None
        try:
            started = time.perf_counter()
            self._connection.request(method, self._path + suffix, body, {**self._headers, **headers})
            response = self._connection.getresponse()
            content = response.read()
            seconds = time.perf_counter() - started
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self._connection.close()
            if reused:  # an idle connection may end at any time; asking again changes nothing
                return self._exchange(method, suffix, body, headers)
            raise self._unreachable(error) from error
        except ssl.SSLCertVerificationError as error:
            message = (
                f"{self.place}: must have a trusted certificate; got {error}. Set SSL_CERT_FILE to its authority's"
            )
            raise BadSettings(message) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._unreachable(error) from error
        return response, Reply(
            response.status,
            seconds,
            inside_s(response.getheader("Server-Timing", "")),
            response.getheader("Foretable-Source", ""),
            response.getheader("Foretable-Release", ""),
            content,
        )

    def _unreachable(self, error: Exception) -> Unavailable:
        message = (
            f"{self.place}: must be answered by a running server within {_TIMEOUT_S:.0f} s; "
            f"got {type(error).__name__}: {error}. Start 'foretable serve', or correct the URL"
        )
        return Unavailable(message)

    def _refusal(self, reply: Reply) -> Exception:
        try:
            told = str(json.loads(reply.content)["error"])
        except (ValueError, KeyError, TypeError):
            told = repr(reply.content[:80])
        message = f"{self.place}: must answer with 200; got {reply.status}: {told[:2000]}"
        if reply.status in {401, 403}:
            return BadSettings(f"{message}. Give --token")
        if reply.status == 404:
            return NotFound(message)
        if reply.status in {502, 504}:
            return Unavailable(message)
        if reply.status >= 500:
            return EngineBug(message)
        return InvalidInput(message) if reply.status >= 400 else BadSettings(message)


def inside_s(server_timing: str) -> float | None:
    """Return the seconds of the metric ``app`` in a ``Server-Timing`` header, which counts milliseconds."""
    found = _APP.search(server_timing)
    return float(found[1]) / 1e3 if found else None


def retry_after_s(text: str | None) -> float:
    """Return how long a ``Retry-After`` header asks to wait; a second where it gives no number of seconds."""
    text = (text or "").strip()
    return float(text[:12]) if text.isascii() and text.isdigit() else _USUAL_PAUSE_S
