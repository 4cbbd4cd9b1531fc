"""Bodies and headers: one renderer for the endpoints and the front's shortest path, so that their bytes are equal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engine.answer import Answer, Source
from engine.manifest import canonical_json, sha256
from engine.output import Output
from engine.predictor import Predictor
from engine.wire.output_json import OutputJson, to_json
from online.http.reply import header

JSON = header("Content-Type", "application/json")
NO_STORE = header("Cache-Control", "no-store")


def content_length(body: bytes) -> bytes:
    """Return the header."""
    return b"Content-Length: %d\r\n" % len(body)


def etag_matches(header: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` header names an entity tag (RFC 9110, weak comparison)."""
    if header == etag:
        return True
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or tags == ["*"]


class Renderer:
    """Renders the answers of one release of one model."""

    def __init__(self, model: str, predictor: Predictor, *, max_age_s: int) -> None:
        """Prepare all that does not depend on the row."""
        self.release = release = predictor.release.number
        self._outputs = [
            (o, place) for o, place in zip(predictor.schema.outputs, predictor.schema.slices.values(), strict=True)
        ]
        self._single = len(self._outputs) == 1
        identity = [release, predictor.release.bundle_digest, predictor.release.table, predictor.numeric_class, model]
        tag = sha256(canonical_json(identity))[:16]
        # The body names the source, so the tag does too: a block found corrupt changes both.
        self.etags = {source: f'"{release}-{tag}-{source.text}"' for source in (Source.TABLE, Source.MODEL)}
        cache = header("Cache-Control", f"max-age={max_age_s}")
        self._tails = {source: header("ETag", etag) + cache for source, etag in self.etags.items()}
        # A default stands in for an answer: no cache may take it for one.
        self._tails[Source.DEFAULT] = NO_STORE
        self._row_headers = {source: JSON + tail for source, tail in self._tails.items()}
        self._batch_tail = NO_STORE + header("Foretable-Release", str(release))
        self._heads = {
            source: to_json({"model": model, "release": release, "source": source.text})[:-1] + b',"outputs":{'
            for source in self._tails
        }
        keys = [to_json(output.name) + b":" for output, _ in self._outputs]
        self._parts = [
            (key if number == 0 else b"," + key, place.start, place.stop, output.width == 1)
            for number, (key, (output, place)) in enumerate(zip(keys, self._outputs, strict=True))
        ]
        self._rows = OutputJson(predictor.schema)
        self._first = {source: head + self._parts[0][0] for source, head in self._heads.items()}
        self._one_number = self._single and self._parts[0][3]

    def row(self, answer: Answer) -> bytes:
        """Return the body of a GET."""
        values, source = answer
        if self._one_number:
            return self._first[source] + to_json(np.float32(values[0])) + b"}}"
        pieces = [self._heads[source]]
        for key, start, stop, is_number in self._parts:
            value = np.float32(values[start]) if is_number else np.array(values[start:stop], np.float32)
            pieces += key, to_json(value)
        return b"".join([*pieces, b"}}"])

    def row_headers(self, source: Source, body: bytes) -> bytes:
        """Return the headers of a GET that is answered."""
        return self._row_headers[source] + content_length(body)

    def not_modified_headers(self, source: Source) -> bytes:
        """Return the headers of a 304."""
        return self._tails[source]

    def predictions(self, values: npt.NDArray[np.float32]) -> bytes:
        """Return TensorFlow Serving's row body of values of shape (n, width)."""
        if self._single:
            return to_json({"predictions": next(iter(self._columns(values).values()))})
        return b'{"predictions":[' + b",".join(self._rows.rows(values)) + b"]}"

    def prediction(self, answer: Answer) -> bytes:
        """Return TensorFlow Serving's row body of one row."""
        if self._one_number:
            return b'{"predictions":[%b]}' % to_json(np.float32(answer.values[0]))
        return self.predictions(np.array([answer.values], np.float32))

    def outputs(self, values: npt.NDArray[np.float32]) -> bytes:
        """Return TensorFlow Serving's columnar body of values of shape (n, width)."""
        columns = self._columns(values)
        return to_json({"outputs": next(iter(columns.values())) if self._single else columns})

    def batch_headers(self, sources: str, body: bytes, kind: bytes = JSON) -> bytes:
        """Return the headers of a POST that is answered; ``sources`` is of ``counted``, ``kind`` its Content-Type."""
        return b"%b%bForetable-Source: %b\r\n%b" % (kind, content_length(body), sources.encode(), self._batch_tail)

    def _columns(self, values: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Return contiguous columns by output: shape (n,) where the width is 1, else (n, width)."""
        return {o.name: _column(o, values[:, place]) for o, place in self._outputs}


def _column(output: Output, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values[:, 0] if output.width == 1 else values)


def counted(rows: Mapping[Source, int]) -> str:
    """Return the source of all rows, or each source with its rows where there are several."""
    if len(rows) == 1:
        return next(iter(rows)).text
    return ", ".join(f"{source.text}={count}" for source, count in rows.items()) or Source.NONE.text
