"""A published two-output model, and what serves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from online.app import create_app
from online.config import ServeConfig
from online.served import ServedHolder
from tests.support.app_client import AppClient
from tests.support.serving import load_both


@pytest.fixture(scope="session")
def served(published: Path) -> tuple[ServeConfig, ServedHolder]:
    """Settings and loaded releases that tests only read."""
    return load_both(published, max_rows=100, max_body_bytes=100_000)


@pytest.fixture
def client(served: tuple[ServeConfig, ServedHolder]) -> Iterator[AppClient]:
    """A client of an application of one's own, so that its counts begin at zero."""
    config, holder = served
    with closing(AppClient(create_app(holder, config))) as made:
        yield made
