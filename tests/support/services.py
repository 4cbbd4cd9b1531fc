"""What a test needs of the machine: there, or a skip with its reason, or a failure where services are required."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]


def missing_service(service: str, cure: str) -> NoReturn:
    """Skips the test on a laptop; fails it where ``REQUIRE_SERVICES`` is 1, as in CI.

    Args:
        service: What is missing.
        cure: What to install or start.
    """
    message = f"needs {service}; found none. {cure}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def find_java_home() -> str | None:
    """Returns the home of a Java that Spark runs on, or None. Installs nothing."""
    found = subprocess.run(
        [str(ROOT / "scripts" / "ensure_java.sh"), "--no-install"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip() or None
