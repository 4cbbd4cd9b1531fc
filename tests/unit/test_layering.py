"""The arrows between packages, and the one home of each heavy library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "jobs", "online", "services", "streaming", "foretable")

# What each package may import of the others. `foretable` is the front door and reaches all of them, lazily.
ARROWS = {
    "engine": set[str](),
    "jobs": {"engine"},
    "online": {"engine"},
    "services": set[str](),  # for tests and benchmarks, which alone import it
    "streaming": {"engine"},
    "foretable": {"engine", "jobs", "online", "streaming"},
}

# Library -> the only files that may import it, as patterns of paths from the root.
# Tests and benchmarks may import anything; examples are users' code.
HOMES = {
    "tensorflow": ("jobs/train*", "jobs/export*"),
    "keras": ("jobs/train*", "jobs/export*"),
    "pyspark": ("jobs/spark_runner.py", "jobs/dataframe.py"),
    "py4j": ("jobs/spark_runner.py",),
    "flask": ("online/*",),
    "werkzeug": ("online/*",),
    "granian": (),  # only benchmarks stand beside it
    "httptools": ("online/http/*",),
    "uvloop": ("online/worker.py",),
    "prometheus_client": ("online/*", "streaming/*"),
    "httpx": ("online/client/*",),
    "kafka": ("streaming/clients/kafka_python*.py",),
    "confluent_kafka": ("streaming/clients/confluent*.py",),
    "ai_edge_litert": ("engine/*",),
    "hdfs_native": ("engine/stores/hdfs.py",),
    "boto3": ("engine/stores/s3*",),
    "botocore": ("engine/stores/s3*",),
    "fsspec": (),  # stores speak to their libraries themselves
    "matplotlib": ("online/profile/picture.py",),
    "requests": (),
    "pandas": (),
    "sklearn": (),
    "pickle": (),  # nothing unpickles
    "cloudpickle": ("jobs/*",),  # writes what Spark ships
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST, *, module: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """Yields (absolute module name, line) of every import outside `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            kept = len(base) - node.level + is_package if node.level else 0
            yield ".".join([*base[:kept], *filter(None, [node.module])]), node.lineno
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(ast.Module(node.orelse, []), module=module, is_package=is_package)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                yield node.args[0].value, node.lineno
            yield from imports(node, module=module, is_package=is_package)
        else:
            yield from imports(node, module=module, is_package=is_package)


def top_level_imports(path: Path) -> list[tuple[str, int]]:
    """Returns (first part of the module's name, line) of each import in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    found = imports(tree, module=name_of(path), is_package=path.name == "__init__.py")
    return [(name.partition(".")[0], line) for name, line in found]


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_go_one_way(package: str) -> None:
    allowed = ARROWS[package] | {package}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line in top_level_imports(path)
        if (name in PACKAGES and name not in allowed) or name in {"bench", "examples", "tests"}
    ]
    assert not wrong, f"{package} may import only {sorted(allowed)} of this repository"


@pytest.mark.parametrize("library", HOMES)
def test_heavy_library_has_one_home(library: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in modules(package)
        for name, line in top_level_imports(path)
        if name == library and not any(fnmatch(str(path.relative_to(ROOT)), home) for home in HOMES[library])
    ]
    assert not wrong, f"{library} is at home only in {HOMES[library]}"


def loaded_after_importing(names: list[str]) -> set[str]:
    program = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_engine_loads_no_heavy_library() -> None:
    loaded = loaded_after_importing([name_of(path) for path in modules("engine")])
    assert "engine" in loaded
    assert not loaded & {"tensorflow", "keras", "pyspark", "flask", "uvloop", "prometheus_client", "kafka"}
    assert not loaded & {"hdfs_native", "boto3", "botocore"}  # a scheme that is not used costs nothing


def test_front_door_loads_no_package_behind_it() -> None:
    loaded = loaded_after_importing(["foretable"])
    assert not loaded & {"jobs", "online", "streaming", "tensorflow", "pyspark", "flask"}


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import a.b", ["a.b"]),
        ("from a import b", ["a"]),
        ("from . import b", ["engine"]),
        ("from .b import c", ["engine.b"]),
        ("def f():\n    import a", ["a"]),
        ("importlib.import_module('a.b')", ["a.b"]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b"]),
    ],
)
def test_every_form_of_import_is_seen(source: str, expected: list[str]) -> None:
    found = imports(ast.parse(source), module="engine.table", is_package=False)
    assert [name for name, _ in found] == expected
