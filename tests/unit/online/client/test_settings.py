"""Settings that are refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import BadSettings
from online.client.settings import ClientSettings
from online.client.tags import TagCache


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"url": "127.0.0.1:8000"}, "url must be"),
        ({"url": "ftp://host"}, "url must be"),
        ({"url": "http://"}, "url must be"),
        ({"url": "http://host?x=1"}, "url must be"),
        ({"url": "http://host:port"}, "url must be"),
        ({"model": ""}, "model must be named"),
        ({"label": "canary", "version": 1}, "a label or a version"),
        ({"timeout_s": 0}, "timeout_s must be above 0; got 0"),
        ({"deadline_s": -1}, "deadline_s must be above 0"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"batch_rows": 0}, "batch_rows must be"),
        ({"retries": -1}, "retries must be 0 or more"),
        ({"body": "xml"}, "body must be"),
    ],
)
def test_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        ClientSettings(**{"url": "http://host:1", "model": "m", **settings})


def test_places() -> None:
    assert ClientSettings("http://host/", "m").place_url(":predict") == "http://host/v1/models/m:predict"
    assert (
        ClientSettings("http://host/a", "m/n", label="x y").place_url("")
        == "http://host/a/v1/models/m%2Fn/labels/x%20y"
    )
    assert ClientSettings("http://host", "m", version=3).place == "/v1/models/m/versions/3"


def test_tags_are_kept_by_last_use() -> None:
    tags = TagCache(2)
    tags.keep("a", '"1"', b"a")
    tags.keep("b", '"1"', b"b")
    tags.get("a")
    tags.keep("c", '"1"', b"c")
    assert [tags.get(url) is not None for url in "abc"] == [True, False, True]
    tags.keep("a", None, b"default")
    assert tags.get("a") is None
