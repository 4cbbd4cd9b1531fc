"""Which threads get a processor first."""

from __future__ import annotations

import os
from contextlib import suppress


def give_way() -> None:
    """Let this thread, and those that it starts, compute only while no other thread here wants a processor.

    Linux runs what wakes beside such a thread at once; beside another it waits for some 3 ms. Only threads of one
    control group (a container, a service) are compared: whoever else is on the machine takes no more than its share.
    Elsewhere nothing changes.
    """
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # a sandbox that forbids it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
