"""A release of the synthetic model, as a stream holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.loading import load_warm
from engine.registry import Registry
from streaming.rendering import Rendering
from streaming.streamed import Streamed
from tests.support.synthetic import FINITE_NAME


@pytest.fixture(scope="session")
def release(published: Path) -> Streamed:
    """A release that tests only read."""
    models = Registry(str(published)).model(FINITE_NAME)
    record = models.head("production")
    predictor = load_warm(models, record, threads=1, scratch=None)
    rendering = Rendering(models.name, predictor)
    return Streamed(model=models.name, label="production", record=record, predictor=predictor, rendering=rendering)
