"""Settings of a program that runs for long: command line over environment over default, read once, strictly."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, NoReturn, TypeVar

from engine.errors import BadSettings

PREFIX = "FORETABLE_"
_SERVICE_LINK = re.compile(rf"{PREFIX}(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP)(_\w+)?)")
_CREDENTIALS = re.compile(r"//[^/@]*@")
_MASK = "***"
Config = TypeVar("Config")


def setting(help_text: str, parse: Callable[[str], object], *, secret: bool = False, **options: Any) -> Any:
    """Declare a field of a frozen dataclass of settings: ``--name`` on the command line, ``FORETABLE_NAME`` elsewhere.

    Args:
        help_text: for ``--help``.
        parse: reads the text, or raises ``ValueError`` with what it must be.
        secret: whether its value must not be shown.
        options: of ``dataclasses.field``; without a default the setting must be given.
    """
    return dataclasses.field(metadata={"help": help_text, "parse": parse, "secret": secret}, **options)


def flag(help_text: str) -> Any:
    """Declare a setting that is true where ``--name`` is given, without a value, or the variable is ``true``."""
    made = setting(help_text, boolean, default=False)
    return dataclasses.field(default=False, metadata={**made.metadata, "flag": True})


def text(given: str) -> str:
    """Read a text that is not empty."""
    if not given.strip():
        message = "a text that is not empty"
        raise ValueError(message)
    return given


def names(given: str) -> tuple[str, ...]:
    """Read names joined by commas."""
    found = tuple(given.split(","))
    if not all(found) or len(set(found)) != len(found):
        message = "distinct names joined by commas"
        raise ValueError(message)
    return found


def one_of(*choices: str) -> Callable[[str], str]:
    """Return what reads one of some words."""

    def parse(given: str) -> str:
        if given not in choices:
            message = f"one of {', '.join(choices)}"
            raise ValueError(message)
        return given

    return parse


def boolean(given: str) -> bool:
    """Read ``true`` or ``false``."""
    if given not in {"true", "false"}:
        message = "true or false"
        raise ValueError(message)
    return given == "true"


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return what reads an integer within bounds, both allowed."""

    def parse(given: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", given) or not low <= int(given) <= high:
            message = f"an integer from {low} to {high}"
            raise ValueError(message)
        return int(given)

    return parse


def seconds(given: str) -> float:
    """Read a time above 0."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", given) or float(given) <= 0:
        message = "a number of seconds above 0"
        raise ValueError(message)
    return float(given)


def described(config: Any) -> str:  # of any dataclass
    """Return all settings on one line, without secrets and the credentials in URLs."""
    shown = {
        field.name: _MASK
        if field.metadata.get("secret") and getattr(config, field.name)
        else getattr(config, field.name)
        for field in dataclasses.fields(config)
    }
    return " ".join(f"{name}={_without_credentials(value)!r}" for name, value in shown.items())


class SettingsParser(Generic[Config]):
    """Reads the settings of one program.

    Attributes:
        options: argparse's parser, for what else the command line has.
    """

    def __init__(self, kind: Callable[..., Config], *, program: str, description: str) -> None:
        """Make an option of each field of a dataclass."""
        self._kind, self._fields = kind, dataclasses.fields(kind)  # type: ignore[arg-type]
        self.options = _Parser(
            prog=program,
            description=description,
            epilog=f"Each setting can be given as {PREFIX}NAME in the environment; the command line wins.",
            allow_abbrev=False,
        )
        for field in self._fields:
            how: dict[str, Any] = (
                {"action": "store_const", "const": "true"} if _is_flag(field) else {"metavar": "VALUE"}
            )
            self.options.add_argument(_option(field.name), help=_help(field), **how)

    def read(self, given: Mapping[str, str | None], environment: Mapping[str, str]) -> Config:
        """Return the settings.

        Args:
            given: texts by field, as ``options`` parsed them; None where the command line has none.
            environment: all variables.

        Raises:
            BadSettings: a setting is missing, unknown or cannot be read.
        """
        environment = {name: value for name, value in environment.items() if not _is_service_link(name, value)}
        known = {PREFIX + field.name.upper() for field in self._fields}
        for name in sorted(environment):
            if name.startswith(PREFIX) and name not in known:
                message = f"environment variable {name} must be one of {', '.join(sorted(known))}. Unset or correct it"
                raise BadSettings(message)
        found: dict[str, Any] = {}
        for field in self._fields:
            variable = PREFIX + field.name.upper()
            where, value = _option(field.name), given[field.name]
            if value is None:
                where, value = variable, environment.get(variable)
            if value is not None:
                found[field.name] = _parsed(field, where, value)
            elif field.default is dataclasses.MISSING:
                message = f"{_option(field.name)} (or {variable}) must be given"
                raise BadSettings(message)
        return self._kind(**found)


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting with argparse's own code."""

    def error(self, message: str) -> NoReturn:
        told = f"{message}. See --help"
        raise BadSettings(told)


def _parsed(field: dataclasses.Field[Any], where: str, value: str) -> object:
    try:
        parsed: object = field.metadata["parse"](value)
    except ValueError as error:
        got = _MASK if field.metadata["secret"] else repr(value[:80])
        message = f"{where} must be {error}; got {got}"
        raise BadSettings(message) from None
    return parsed


def _is_flag(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("flag"))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _without_credentials(value: object) -> object:
    return _CREDENTIALS.sub(f"//{_MASK}@", value) if isinstance(value, str) else value


def _is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes made a variable, as it does in every pod for a Service called ``foretable``."""
    return bool(_SERVICE_LINK.fullmatch(name)) or (name == f"{PREFIX}PORT" and value.startswith(("tcp://", "udp://")))


def _help(field: dataclasses.Field[Any]) -> str:
    """Return what ``--help`` says of a setting, with its default as one would type it."""
    default = field.default
    if default is dataclasses.MISSING or default in (None, (), "") or _is_flag(field):
        return str(field.metadata["help"])
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"{field.metadata['help']} (default: {default})"
