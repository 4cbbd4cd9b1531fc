"""Security settings of the clients: librdkafka's names and values, checked before any library sees them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from engine.errors import BadSettings

_WHERE = "the Kafka client's security settings"
_VALUES = {
    "security.protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "sasl.mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),  # others need settings that are not in here
    "ssl.endpoint.identification.algorithm": ("https", "none"),
}
_FILES = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")
_TEXTS = ("sasl.username", "sasl.password", "ssl.key.password")
_NAMES = (*_VALUES, "sasl.mechanisms", *_FILES, *_TEXTS)
_ALIASES = {"sasl.mechanisms": "sasl.mechanism"}  # librdkafka knows both


def checked_security(security: Mapping[str, str]) -> dict[str, str]:
    """Return the settings by their first names, with values spelt as both libraries take them.

    Raises:
        BadSettings: a name or value is not known, a setting came under both of its names, or a file cannot be read.
    """
    checked: dict[str, str] = {}
    for given, value in security.items():
        if given not in _NAMES:
            message = f"{_WHERE}: a name must be one of {', '.join(_NAMES)}; got {given!r}."
            raise BadSettings(message)
        name = _ALIASES.get(given, given)
        if name in checked:
            message = f"{_WHERE}: {name} must come once; it came as {given}, too. Leave one out."
            raise BadSettings(message)
        checked[name] = _checked(name, value)
    return checked


def _checked(name: str, value: str) -> str:
    if name in _VALUES:
        for known in _VALUES[name]:
            if value.upper() == known.upper():
                return known
        message = f"{_WHERE}: {name} must be one of {', '.join(_VALUES[name])}; got {value!r}."
        raise BadSettings(message)
    # kafka-python would try to connect again and again, and never say why it cannot.
    if name in _FILES and not (Path(value).is_file() and os.access(value, os.R_OK)):
        message = f"{_WHERE}: {name} must be a file that can be read; got {value!r}. Correct the path, or grant access."
        raise BadSettings(message)
    return value
