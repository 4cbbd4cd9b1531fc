"""Java and Maven: found on this machine by the scripts that can also install them, and the jars that Maven fetches."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from services.command import run_to_end
from services.errors import FetchFailed, MissingTool

ROOT = Path(__file__).resolve().parents[1]
JARS = ROOT / ".services" / "jars"
_FETCH_TIMEOUT_S = 900


def java_home() -> Path:
    """Return the home of a Java that Hadoop, Kafka and Spark run on. Installs nothing.

    Raises:
        MissingTool: there is none.
    """
    return Path(_find("ensure_java.sh", "Java 17 or 21", "make java"))


def maven() -> Path:
    """Return the ``mvn`` program. Installs nothing.

    Raises:
        MissingTool: there is none.
    """
    return Path(_find("ensure_maven.sh", "Maven", "make maven"))


def fetch_jars(pom: Path, name: str, *, into: Path = JARS) -> Path:
    """Return the directory of the jars that a pom asks for; fetch them where this pom's are not there yet.

    Args:
        pom: the file for Maven.
        name: of the service, for the directory's name.
        into: the directory of such directories.

    Raises:
        MissingTool: they must be fetched, and there is no Maven or no Java.
        FetchFailed: Maven ended with an error.
    """
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    target = into / f"{name}-{digest}"
    if target.is_dir():
        return target
    program, home = maven(), java_home()
    into.mkdir(parents=True, exist_ok=True)
    with (into / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two who start at once: the second finds what the first fetched
        if not target.is_dir():
            _copy_dependencies(program, home, pom, target)
    return target


def _copy_dependencies(program: Path, home: Path, pom: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a fetch that was killed
    command: list[str | Path] = [
        program,
        "-q",
        "-B",
        "-f",
        pom,
        "dependency:copy-dependencies",
        f"-DoutputDirectory={partial}",
    ]
    done = run_to_end(command, {**os.environ, "JAVA_HOME": str(home)}, timeout_s=_FETCH_TIMEOUT_S)
    if done.returncode != 0:
        message = (
            f"{pom}: Maven must fetch the jars; it ended with status {done.returncode}. "
            f"See that Maven reaches its repository (~/.m2/settings.xml), and try again:\n{done.stdout[-4000:]}"
        )
        raise FetchFailed(message)
    partial.rename(target)  # a directory of this name is whole


def _find(script: str, what: str, cure: str) -> str:
    found = subprocess.run(
        [ROOT / "scripts" / script, "--no-install"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not found:
        message = f"services: {what} must be installed; found none. Run `{cure}`."
        raise MissingTool(message)
    return found
