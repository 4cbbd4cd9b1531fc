"""A program ends in time, whatever its threads do."""

from __future__ import annotations

import subprocess
import sys
import threading

from streaming.grace import ending_in_time, exit_despite

HANGS = """
import sys, threading
from streaming.grace import exit_despite
threading.Thread(target=threading.Event().wait, name="answering_0").start()
sys.exit(exit_despite("answering", 75))
"""


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", HANGS], timeout=60, check=False).returncode == 75


def test_without_one_the_code_is_returned() -> None:
    thread = threading.Thread(target=lambda: None, name="answering_0")
    thread.start()
    assert exit_despite("answering", 64) == 64
    assert not thread.is_alive()


def test_what_ends_by_itself_is_left_alone() -> None:
    stop = threading.Event()
    with ending_in_time(stop, 0.0):
        stop.set()
