from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import BadSettings
from jobs.code_digest import check_code, code_digest
from tests.support.programs import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages in another place, as in an executor's archive."""
    for package in ("engine", "jobs"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def digest_in(folder: Path) -> str:
    program = "from jobs.code_digest import code_digest; print(code_digest())"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_same_code_elsewhere_has_the_same_digest(copy: Path) -> None:
    check_code(digest_in(copy))


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_any_other_code_is_refused(copy: Path, change: str) -> None:
    module = copy / "engine" / "codec.py"
    if change == "edited":
        module.write_text(module.read_text() + "\n# other\n")
    elif change == "added":
        (copy / "jobs" / "scoring" / "more.py").write_text("")
    elif change == "removed":
        module.unlink()
    else:
        module.rename(copy / "engine" / "codecs.py")
    other = digest_in(copy)
    assert other != code_digest()
    with pytest.raises(BadSettings, match=r"executors must run the driver's code.*Pack their archive anew"):
        check_code(other)
