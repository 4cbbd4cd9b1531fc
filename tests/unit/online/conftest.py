"""A published two-output model, and what serves it."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.test import Client

from online.app import create_app
from online.config import ServeConfig
from online.holder import Holder
from tests.support.serving import load_both


@pytest.fixture(scope="session")
def served(published: Path) -> tuple[ServeConfig, Holder]:
    """Settings and loaded releases that tests only read."""
    return load_both(published, max_rows=100, max_body_bytes=100_000)


@pytest.fixture
def client(served: tuple[ServeConfig, Holder]) -> Client:
    """A client of an application of one's own, so that its counts begin at zero."""
    config, holder = served
    return Client(create_app(holder, config))
