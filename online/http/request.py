"""A request of HTTP, read whole."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import httptools


class Request:
    """What a client asks.

    Attributes:
        method: as the client wrote it; "" where none could be read.
        path: without its escapes; what is no UTF-8 in it is replaced.
        query: what stands behind the question mark, as it came; "" for none.
        headers: values by lower-case name, as they came; those of a name that came again are joined by commas.
        body: all of it, without its framing.
        client: the address that the connection came from.
    """

    __slots__ = ("body", "client", "headers", "method", "path", "query")

    def __init__(
        self, method: str, target: bytes, headers: dict[bytes, bytes], *, body: bytes = b"", client: str = ""
    ) -> None:
        """Read the target.

        Raises:
            httptools.HttpParserInvalidURLError: it is neither a path nor a URL.
        """
        self.method, self.headers, self.body, self.client = method, headers, body, client
        raw, _, query = target.partition(b"?")
        if raw[:1] != b"/" and raw not in {b"*", b""}:  # a proxy's form: the whole URL
            url = httptools.parse_url(target)
            raw, query = url.path or b"/", url.query or b""
        if b"%" in raw:
            raw = unquote_to_bytes(raw)
        self.path = raw.decode(errors="replace")
        self.query = query.decode("latin-1")

    def header(self, name: bytes) -> str | None:
        """Return a header by its lower-case name; a character a byte."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")
