"""Timing that survives a busy machine: repeats, interleaved pairs, and the memory of a child."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from engine.errors import BadSettings

Action = Callable[[], object]

# Runs in between, so that the child forks from a small process: Linux counts the parent's size at the fork in the
# child's peak. ru_maxrss is the largest of the child and of all its descendants that were waited for.
_MEASURE = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
with open(sys.argv[1], "w") as file: print(usage.ru_maxrss, file=file)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


@dataclass(frozen=True)
class Child:
    """How a child process ended.

    Attributes:
        returncode: Its exit status.
        peak_rss_bytes: The largest resident memory of it or of any one of its own children.
        wall_s: How long it ran, including the start of Python in between (about 0.02 s).
    """

    returncode: int
    peak_rss_bytes: int
    wall_s: float


def seconds(action: Action) -> float:
    """Runs the action once and returns how long it took."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_seconds(action: Action, *, repeats: int = 5, warmups: int = 1) -> float:
    """Returns the median duration of ``repeats`` runs, after ``warmups`` that are not counted."""
    _check_repeats(repeats)
    for _ in range(warmups):
        action()
    return median(seconds(action) for _ in range(repeats))


def paired_ratio(ours: Action, peer: Action, *, repeats: int = 5, warmups: int = 1) -> float:
    """Returns how many times as fast ``ours`` is as ``peer``, both doing the same work: more than 1 is faster.

    The two take turns, and the turn's order alternates, so a slow spell of the machine hits both. The result is the
    median of the ratios of neighbours, not the ratio of medians.
    """
    _check_repeats(repeats)
    for _ in range(warmups):
        ours()
        peer()
    ratios = []
    for repeat in range(repeats):
        if repeat % 2:
            peer_s = seconds(peer)
            ours_s = seconds(ours)
        else:
            ours_s = seconds(ours)
            peer_s = seconds(peer)
        ratios.append(peer_s / ours_s)
    return median(ratios)


def run_child(command: Sequence[str], *, env: Mapping[str, str] | None = None, timeout_s: float = 600) -> Child:
    """Runs a program to its end and returns its peak memory. Its output goes where ours goes.

    Raises:
        subprocess.TimeoutExpired: It ran past ``timeout_s``; it and the process in between are killed.
    """
    reader, writer = os.pipe()
    with os.fdopen(reader, encoding="utf-8") as report:
        start = time.perf_counter()
        try:
            between = subprocess.Popen(
                [sys.executable, "-S", "-c", _MEASURE, f"/dev/fd/{writer}", *command],
                env=env,
                pass_fds=[writer],
                start_new_session=True,
            )
        finally:
            os.close(writer)
        try:
            returncode = between.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(between.pid, 9)
            between.wait()
            raise
        wall_s = time.perf_counter() - start
        # Empty where the process in between was killed, or the program does not exist.
        kib = report.read().strip() or "0"
    return Child(returncode=returncode, peak_rss_bytes=int(kib) * 1024, wall_s=wall_s)


def _check_repeats(repeats: int) -> None:
    if repeats < 1:
        message = f"repeats must be 1 or more; got {repeats}. Pass a positive number."
        raise BadSettings(message)
