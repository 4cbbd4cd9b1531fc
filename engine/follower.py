"""The follower: a background thread that keeps what is served at the label's highest record."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic

from engine.errors import ForetableError
from engine.holder import Holder, L, Load, Place, shared
from engine.registry import Registry

_log = logging.getLogger(__name__)
# A release that failed to load is tried again, in case it is repaired, but its table is not copied at every poll.
_LONGEST_RETRY_S = 300.0


class Follower(Generic[L]):
    """Follows the labels of every model that a holder holds.

    A record or release that cannot be read changes nothing that is served: it is logged, counted, and tried again.
    """

    def __init__(
        self,
        holder: Holder[L],
        registry: Registry,
        load: Load[L],
        *,
        poll_s: float,
        beside: Sequence[Callable[[], object]] = (),
    ) -> None:
        """Prepare; ``start`` begins.

        Args:
            holder: of what is served.
            registry: where the labels are.
            load: loads the release that a label's record points to; what it raises is a failure of that label.
            poll_s: seconds between two looks at the labels.
            beside: called at every poll, too.
        """
        self._holder, self._registry, self._load, self._poll_s = holder, registry, load, poll_s
        self._beside = beside
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._retries: dict[tuple[Place, int], tuple[int, float]] = {}  # and record -> failed attempts, next try

    def start(self) -> None:
        """Follow in the background until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a load under way is left behind."""
        self._stop.set()

    def poll(self) -> None:
        """Look at every label once, and load and swap where it moved. Raises nothing."""
        for place in self._holder.checked:
            try:
                self._follow(place)
            except ForetableError as error:
                self._failed(place, str(error))
            except Exception as error:  # a bug must not end the following in silence
                problem = f"{type(error).__name__}: {error}"
                if self._holder.problems.get(place) != problem:
                    _log.exception("model %s: following label %s", *place)
                self._failed(place, problem)

    def _run(self) -> None:
        while not self._stop.wait(self._poll_s):
            self.poll()
            for call in self._beside:
                call()

    def _follow(self, place: Place) -> None:
        holder, (model, label) = self._holder, place
        served = holder.current.get(place)
        known = served.record.number if served else 0
        models = self._registry.model(model)
        record = models.label(label).head(known=known)
        if record is not None and record.number != known:
            attempts, next_try = self._retries.get((place, record.number), (0, 0.0))
            if time.monotonic() < next_try:
                return
            wait_s = min(self._poll_s * 2**attempts, _LONGEST_RETRY_S)
            self._retries[place, record.number] = attempts + 1, time.monotonic() + wait_s
            new = shared(holder.of(model), label, record) or self._load(models, label, record)
            holder.swap(new)
            del self._retries[place, record.number]
            _log.info(
                "model %s: serving release %d at label %s (record %d: %s)",
                model,
                new.release,
                label,
                record.number,
                record.reason,
            )
        if holder.problems.pop(place, None):
            _log.info("model %s: following label %s again", model, label)
        holder.checked[place] = time.monotonic()

    def _failed(self, place: Place, problem: str) -> None:
        holder = self._holder
        holder.failures[place] += 1
        if holder.problems.get(place) != problem:  # once, not at every poll
            served = holder.current.get(place)
            stays = f"release {served.release} stays" if served else "nothing is served"
            _log.error("model %s, label %s: %s: %s", *place, stays, problem)
        holder.problems[place] = problem
