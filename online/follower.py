"""The follower: a background thread that keeps what is served at the label's highest record."""

from __future__ import annotations

import logging
import threading
import time

from engine.errors import ForetableError
from engine.registry import Registry
from online.config import ServeConfig
from online.holder import Holder, load

_log = logging.getLogger(__name__)
# A release that failed to load is tried again, in case it is repaired, but its table is not copied at every poll.
_LONGEST_RETRY_S = 300.0


class Follower:
    """Follows one label of every model that a holder holds.

    A record or release that cannot be read changes nothing that is served: it is logged, counted, and tried again.
    """

    def __init__(self, holder: Holder, config: ServeConfig) -> None:
        """Prepare; ``start`` begins."""
        self._holder, self._config = holder, config
        self._registry = Registry(config.registry)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._retries: dict[tuple[str, int], tuple[int, float]] = {}  # (model, record) -> failed attempts, next try

    def start(self) -> None:
        """Follow in the background until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a load under way is left behind."""
        self._stop.set()

    def poll(self) -> None:
        """Look at every label once, and load and swap where it moved. Raises nothing."""
        for model in list(self._holder.current):
            try:
                self._follow(model)
            except ForetableError as error:
                self._failed(model, str(error))
            except Exception as error:  # a bug must not end the following in silence
                _log.exception("model %s: following label %s", model, self._config.label)
                self._failed(model, f"{type(error).__name__}: {error}")

    def _run(self) -> None:
        while not self._stop.wait(self._config.poll_s):
            self.poll()

    def _follow(self, model: str) -> None:
        holder = self._holder
        served = holder.current[model]
        models = self._registry.model(model)
        record = models.label(self._config.label).head(known=served.record.number)
        if record is not None and record.number != served.record.number:
            key = model, record.number
            attempts, next_try = self._retries.get(key, (0, 0.0))
            if time.monotonic() < next_try:
                return
            wait_s = min(self._config.poll_s * 2**attempts, _LONGEST_RETRY_S)
            self._retries[key] = attempts + 1, time.monotonic() + wait_s
            new = load(models, self._config, record)
            holder.swap(new)
            self._retries.clear()
            _log.info(
                "model %s: serving release %d (label %s, record %d: %s)",
                model,
                new.release,
                self._config.label,
                record.number,
                record.reason,
            )
        if holder.problems.pop(model, None):
            _log.info("model %s: following label %s again", model, self._config.label)
        holder.checked[model] = time.monotonic()

    def _failed(self, model: str, problem: str) -> None:
        holder = self._holder
        holder.failures[model] += 1
        if holder.problems.get(model) != problem:  # once, not at every poll
            release = holder.current[model].release
            _log.error("model %s: release %d stays: %s", model, release, problem)
        holder.problems[model] = problem
