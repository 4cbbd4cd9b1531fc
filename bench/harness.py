"""A figure beside its goal, the file of figures that a benchmark leaves, and the machine they were measured on."""

from __future__ import annotations

import math
import os
import platform
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import orjson

from engine.errors import BadSettings, InvalidInput

Better = Literal["higher", "lower"]
RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> str:
    """Describes this machine: CPU model, cores this process may use, memory, Python. Never the host's name."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {cores} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One figure.

    Attributes:
        bar: What was measured, in words; unique among all results.
        value: The figure.
        unit: Its unit, e.g. ``rows/s``, ``ratio``, ``s``; the unit of ``goal`` too.
        goal: What the figure must reach.
        better: Whether the figure must be at least (``higher``) or at most (``lower``) the goal.
        command: What measures it again.
        machine: Where it was measured.
    """

    bar: str
    value: float
    unit: str
    goal: float
    better: Better
    command: str
    machine: str = field(default_factory=machine)

    def __post_init__(self) -> None:
        """Raises InvalidInput where a field is not of its type, is empty or is not finite."""
        for item in fields(self):
            content = getattr(self, item.name)
            if item.name in {"value", "goal"}:
                if isinstance(content, bool) or not isinstance(content, int | float) or not math.isfinite(content):
                    self._refuse(item.name, "a finite number", content)
            elif not isinstance(content, str) or "\n" in content or not content.strip():
                self._refuse(item.name, "one line of text", content)
        if self.better not in {"higher", "lower"}:
            self._refuse("better", "'higher' or 'lower'", self.better)

    def _refuse(self, name: str, must: str, got: object) -> None:
        message = f"{name} of result {self.bar!r} must be {must}; got {got!r}. Correct the benchmark that made it."
        raise InvalidInput(message)

    @property
    def holds(self) -> bool:
        """Whether the figure reaches its goal."""
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal

    def to_json(self) -> dict[str, Any]:
        """Returns the form that a results file holds."""
        return asdict(self) | {"holds": self.holds}

    @classmethod
    def from_json(cls, document: object) -> Result:
        """Reads what `to_json` returned.

        Raises:
            InvalidInput: A field is missing, unknown or wrong, or ``holds`` does not follow from value and goal.
        """
        names = {item.name for item in fields(cls)} | {"holds"}
        if not isinstance(document, dict) or set(document) != names:
            message = f"a result must be an object with the fields {sorted(names)}; got {document!r}. Measure it again."
            raise InvalidInput(message)
        result = cls(**{name: content for name, content in document.items() if name != "holds"})
        if document["holds"] is not result.holds:
            result._refuse("holds", str(result.holds).lower(), document["holds"])
        return result


def record(name: str, results: list[Result], *, directory: Path = RESULTS) -> Path:
    """Writes ``directory/NAME.json``, all of it or nothing, and prints each figure.

    Args:
        name: The benchmark's name: lower-case words joined by hyphens.
        results: At least one, with different bars.
        directory: Where results are kept.

    Returns:
        The file's path.

    Raises:
        BadSettings: The name is not one, or there is no result, or two have the same bar.
    """
    if not name or not all(part.isalnum() and part.islower() for part in name.split("-")):
        message = f"the name of a benchmark must be lower-case words joined by hyphens; got {name!r}. Rename it."
        raise BadSettings(message)
    bars = [result.bar for result in results]
    if not bars or len(set(bars)) != len(bars):
        message = f"the results of benchmark {name!r} must be one or more with different bars; got {bars}. Name each."
        raise BadSettings(message)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    content = orjson.dumps([result.to_json() for result in results], option=orjson.OPT_INDENT_2) + b"\n"
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for result in results:
        print(one_line(result), flush=True)
    return path


def read_results(directory: Path = RESULTS) -> list[Result]:
    """Reads all recorded results, by file name and then in the order recorded.

    Raises:
        InvalidInput: A file is not a results file, or two files hold the same bar.
    """
    results: list[Result] = []
    origin: dict[str, str] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            documents = orjson.loads(path.read_bytes())
            if not isinstance(documents, list):
                message = f"it must be a list of results; got {type(documents).__name__}. Measure it again."
                raise InvalidInput(message)
            found = [Result.from_json(document) for document in documents]
        except (orjson.JSONDecodeError, InvalidInput) as err:
            message = f"results file {path.name}: {err}"
            raise InvalidInput(message) from err
        for result in found:
            if result.bar in origin:
                message = (
                    f"results file {path.name}: a bar must be in one file; got {result.bar!r}, which "
                    f"{origin[result.bar]} has too. Rename one or delete the older file."
                )
                raise InvalidInput(message)
            origin[result.bar] = path.name
        results += found
    return results


def number_text(value: float) -> str:
    """Writes a figure for people: three significant digits or more, thousands separated."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def goal_text(result: Result) -> str:
    """Writes the goal with its direction, e.g. ``≥ 0.7``."""
    return f"{'≥' if result.better == 'higher' else '≤'} {number_text(result.goal)}"


def one_line(result: Result) -> str:
    """Writes a result as one line of a terminal."""
    verdict = "holds" if result.holds else "FALLS SHORT"
    return f"{verdict:11}  {result.bar}: {number_text(result.value)} {result.unit} (goal {goal_text(result)})"
