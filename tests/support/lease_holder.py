"""A program that takes a lock, holds it until the file ``go`` appears, and checks that it still has it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engine.errors import ForetableError
from engine.storage import open_storage
from jobs.lease import Lease
from tests.support.waiting import wait_until


def main(root: str, lock: str, lease_s: str) -> int:
    """Hold the lock; return 0, or the exit code of the error."""
    folder = Path(root)
    try:
        with Lease(open_storage(root), lock, lease_s=float(lease_s)) as lease:
            (folder / f"held-{os.getpid()}").touch()
            wait_until((folder / "go").exists, what="the test let the lock go")
            lease.check()
    except ForetableError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("kept")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
