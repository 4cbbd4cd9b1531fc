"""Security settings: what is taken, and how what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import BadSettings
from streaming.clients.security import checked_security


def test_what_is_right_is_spelt_as_libraries_take_it(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("certificate")
    given = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "scram-sha-512",
        "sasl.username": "user",
        "sasl.password": " Secret ",
        "ssl.ca.location": str(authority),
        "ssl.key.password": "other",
        "ssl.endpoint.identification.algorithm": "HTTPS",
    }
    assert checked_security(given) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "user",
        "sasl.password": " Secret ",
        "ssl.ca.location": str(authority),
        "ssl.key.password": "other",
        "ssl.endpoint.identification.algorithm": "https",
    }
    assert checked_security({}) == {}


@pytest.mark.parametrize(
    "given, named",
    [
        ({"sasl.pasword": "x"}, r"a name must be one of security.protocol, .*; got 'sasl.pasword'"),
        ({"security.protocol": "TLS"}, r"security.protocol must be one of PLAINTEXT, .*; got 'TLS'"),
        ({"sasl.mechanism": "GSSAPI"}, r"sasl.mechanism must be one of PLAIN, .*; got 'GSSAPI'"),
        ({"sasl.mechanism": "PLAIN", "sasl.mechanisms": "PLAIN"}, r"sasl.mechanism must come once"),
        ({"ssl.endpoint.identification.algorithm": "no"}, r"must be one of https, none; got 'no'"),
        ({"ssl.ca.location": "/no/such/file"}, r"ssl.ca.location must be a file that can be read; got '/no/such/file'"),
        ({"ssl.key.location": "/"}, r"ssl.key.location must be a file"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(BadSettings, match=named):
        checked_security(given)


def test_a_secret_is_never_in_an_error() -> None:
    with pytest.raises(BadSettings) as caught:
        checked_security({"sasl.password": "very secret", "sasl.passwords": "more secret"})
    assert "secret" not in str(caught.value)
