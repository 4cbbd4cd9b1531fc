"""Definition files: what is loaded and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.definition import Definition, TrainSettings, load_definition
from engine.errors import BadArtifact, BadSettings
from engine.limits import GateLimits
from engine.output import Output, OutputSchema

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Any
import pyarrow as pa
from engine.definition import Definition, Examples
from engine.feature import Categorical
from engine.output import Output
from engine.space import FeatureSpace

@dataclass(frozen=True)
class Sizes:
    units: int = 4

class Tiny(Definition):
    name = "tiny"
    space = FeatureSpace([Categorical("x", ("a", "b"))])
    outputs = (Output("y"), Output("z", width=2))
    def build(self) -> Any:
        return Sizes().units
    def examples(self, source: str) -> Examples:
        table = pa.table({"x": ["a"], "y": [1.0]})
        return Examples(train=table, holdout=table)

definition = Tiny()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in sys.modules if name.startswith("foretable_definition_")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_a_file_with_a_definition_is_loaded(folder: Path) -> None:
    (folder / "tiny.py").write_text(GOOD)
    definition = load_definition(str(folder / "tiny.py"))
    assert isinstance(definition, Definition)
    assert definition.name == "tiny"
    assert definition.schema.width == 3
    assert definition.settings == TrainSettings()
    assert definition.limits == GateLimits()
    assert definition.build() == 4
    assert definition.examples("").validation is None


@pytest.mark.parametrize("name", ["nothing.py", ".", "tiny.txt"])
def test_what_is_no_python_file_is_refused(folder: Path, name: str) -> None:
    (folder / "tiny.txt").write_text(GOOD)
    with pytest.raises(BadSettings, match="a definition must be a Python file"):
        load_definition(str(folder / name))


@pytest.mark.parametrize("text", ["", "definition = 7", "from engine.definition import Definition as definition"])
def test_a_file_without_a_definition_is_refused(folder: Path, text: str) -> None:
    (folder / "empty.py").write_text(text)
    with pytest.raises(BadSettings, match=r"empty\.py: must set `definition` to a Definition"):
        load_definition(str(folder / "empty.py"))


def test_a_broken_definition_leaves_no_module(folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0")
    with pytest.raises(BadSettings) as caught:
        load_definition(str(folder / "broken.py"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "foretable_definition_broken" not in sys.modules


@pytest.mark.parametrize("variant_error", [None, 0.2])
def test_limits_go_there_and_back(variant_error: float | None) -> None:
    limits = GateLimits(metric_drop={"y.auc": 0.01}, stability_index=0.5, codec_error=0.1, variant_error=variant_error)
    assert GateLimits.from_json(limits.to_json()) == limits
    assert GateLimits.from_json({}) == GateLimits()
    with pytest.raises(BadArtifact, match="Upgrade foretable"):
        GateLimits.from_json({"mood": 1})


def test_a_variant_may_err_by_a_hundredth_of_each_range_unless_declared() -> None:
    schema = OutputSchema([Output("click"), Output("price", width=2, range=(-50.0, 150.0))])
    assert GateLimits().variant_limits(schema) == {"click": 0.01, "price": 2.0}
    assert GateLimits(variant_error=0.5).variant_limits(schema) == {"click": 0.5, "price": 0.5}
    # Versions without the limit read bundles that do not declare one.
    assert "variant_error" not in GateLimits().to_json()


@pytest.mark.parametrize(
    "source, said",
    [
        ("x = (\n", r"SyntaxError: .*\(definition.py, line 1\)"),
        ("\nimport a_module_that_is_nowhere\n", r"ModuleNotFoundError: .*a_module_that_is_nowhere.* \(line 2\)"),
        ("\n\n1 / 0\n", r"ZeroDivisionError: division by zero \(line 3\)"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_with_its_line(tmp_path: Path, source: str, said: str) -> None:
    file = tmp_path / "definition.py"
    file.write_text(source)
    with pytest.raises(BadSettings, match=said):
        load_definition(str(file))
