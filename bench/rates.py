"""Rates of several servers on one busy machine, compared within each round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from engine.errors import BadSettings

Rates = dict[str, list[float]]


def interleaved(actions: Mapping[str, Callable[[], float]], *, repeats: int) -> Rates:
    """Run every action once a round and return what it returned in each.

    Each round begins with another action, so that a slow spell of the machine meets all of them.

    Raises:
        BadSettings: there is no round.
    """
    if repeats < 1:
        message = f"repeats must be 1 or more; got {repeats}. Pass a positive number."
        raise BadSettings(message)
    rates: Rates = {name: [] for name in actions}
    order = list(actions)
    for number in range(repeats):
        first = number % len(order)
        for name in order[first:] + order[:first]:
            rates[name].append(actions[name]())
    return rates


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of one round each: not the ratio of medians, which mixes rounds."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
