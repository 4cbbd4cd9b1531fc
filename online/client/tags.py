"""Answers kept with their entity tags, so that a server need not send, nor a model compute, the same again."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple


class Tagged(NamedTuple):
    """A body and its entity tag."""

    etag: str
    content: bytes


class TagCache:
    """The answers that were used last, by URL. Each is still asked for: a rollback is seen by the next request."""

    def __init__(self, size: int = 1024) -> None:
        """Keep ``size`` answers at most, of some 200 bytes each."""
        self._size = size
        self._kept: OrderedDict[str, Tagged] = OrderedDict()

    def get(self, url: str) -> Tagged | None:
        """Return what was kept of a URL."""
        found = self._kept.get(url)
        if found is not None:
            self._kept.move_to_end(url)
        return found

    def keep(self, url: str, etag: str | None, content: bytes) -> None:
        """Keep an answer; one without a tag (a default) is not kept, and neither is what was there before."""
        self._kept.pop(url, None)
        if etag is not None:
            self._kept[url] = Tagged(etag, content)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
