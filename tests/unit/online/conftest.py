"""A published two-output model, and what serves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from werkzeug.test import Client

from online.app import create_app
from online.config import ServeConfig
from online.holder import Holder
from tests.support.serving import load_both
from tests.support.synthetic import publish_numbers, publish_synthetic


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry that tests must not write to."""
    root = tmp_path_factory.mktemp("published")
    publish_synthetic(str(root))
    publish_numbers(str(root))
    return root


@pytest.fixture
def registry(published: Path, tmp_path: Path) -> Path:
    """A registry of one's own."""
    shutil.copytree(published, tmp_path / "registry")
    return tmp_path / "registry"


@pytest.fixture(scope="session")
def served(published: Path) -> tuple[ServeConfig, Holder]:
    """Settings and loaded releases that tests only read."""
    return load_both(published, max_rows=100, max_body_bytes=100_000)


@pytest.fixture
def client(served: tuple[ServeConfig, Holder]) -> Client:
    """A client of an application of one's own, so that its counts begin at zero."""
    config, holder = served
    return Client(create_app(holder, config))
