"""Settings and headers of a connection; what happens on the wire is in tests/integration/test_profile.py."""

from __future__ import annotations

import pytest

from engine.errors import BadSettings
from online.profile.connection import Connection, inside_s, retry_after_s


@pytest.mark.parametrize(
    "header, seconds",
    [
        ("app;dur=12.5", 0.0125),
        ("cdn;desc=HIT, app;dur=3", 0.003),
        ("app;desc=x;dur=1", 0.001),
        ("webapp;dur=1", None),
        ("app", None),
        ("", None),
    ],
)
def test_server_timing(header: str, seconds: float | None) -> None:
    assert inside_s(header) == seconds


@pytest.mark.parametrize("header, seconds", [("0", 0), (" 7 ", 7), (None, 1), ("soon", 1), ("-3", 1), ("²", 1)])
def test_retry_after(header: str | None, seconds: float) -> None:
    assert retry_after_s(header) == seconds


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://h:99999", "http://h?x=1"])
def test_url_must_be_one(url: str) -> None:
    with pytest.raises(BadSettings, match="URL must be like"):
        Connection(url, "flights")


@pytest.mark.parametrize("model, label", [("", None), ("flights", "")])
def test_names_must_not_be_empty(model: str, label: str | None) -> None:
    with pytest.raises(BadSettings, match="must not be empty"):
        Connection("http://host", model, label=label)


@pytest.mark.parametrize("token", ["", "two words", "line\r\nX: y", "é"])
def test_token_must_fit_into_a_header_and_is_not_shown(token: str) -> None:
    with pytest.raises(BadSettings, match="--token must be printable") as caught:
        Connection("http://host", "flights", token=token)
    assert not token or token not in str(caught.value)


def test_place_names_model_and_label_and_no_credentials() -> None:
    found = Connection("https://user:secret@host:1/base/", "a b", label="canary").place
    assert found == "https://host:1/base/v1/models/a%20b/labels/canary"
