"""The query of a GET: one row of raw texts by feature name."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from engine.errors import InvalidInput


def parse_query(query: str) -> dict[str, str]:
    """Return the row that a query string names.

    Raises:
        InvalidInput: it is not ``name=value`` joined by ``&``, a name comes twice, or its escapes are no UTF-8.
    """
    if not query:
        return {}
    if "%" not in query and query.isascii():
        pairs = [pair.split("=") for pair in query.replace("+", " ").split("&")]
        try:
            row: dict[str, str] = dict(pairs)  # raises ValueError where a pair is no pair
        except ValueError:
            return _parse(query)
        return row if len(row) == len(pairs) else _parse(query)
    return _parse(query)


def _parse(query: str) -> dict[str, str]:
    if not query.isascii():
        message = "the query must be percent-encoded; got bytes outside ASCII"
        raise InvalidInput(message, cause="bad_query")
    row: dict[str, str] = {}
    for pair in query.split("&"):
        raw_name, equals, raw_value = pair.partition("=")
        name = _decoded(raw_name)
        if not equals:
            message = f"the query must be name=value pairs joined by &; got {name[:80]!r}"
            raise InvalidInput(message, cause="bad_query", feature=name[:80])
        if name in row:
            message = f"feature {name[:80]!r} must be given once; got it twice. Remove one"
            raise InvalidInput(message, cause="duplicate_feature", feature=name[:80])
        row[name] = _decoded(raw_value)
    return row


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError as error:
        message = f"the query must be percent-encoded UTF-8; got {text[:80]!r}"
        raise InvalidInput(message, cause="bad_query") from error
