"""The int8 variant from its measurement to the server. Rates are measured and never held to a figure here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.bundle import Bundle
from engine.errors import BadSettings, Refused
from engine.predictor import Predictor
from engine.registry import Registry
from engine.table import read_table_manifest
from jobs.gate import Check
from jobs.precompute import PrecomputeSettings, precompute
from jobs.publish import Published, PublishSettings, publish
from jobs.variant_figures import sample_rows
from tests.support.candidates import models_of, wide_contents
from tests.support.inline_runner import InlineRunner
from tests.support.programs import foretable
from tests.support.serving import ServerProcess
from tests.support.synthetic import FINITE_NAME, publish_synthetic

WHY = "a test does not time"


def write_wide(root: Path, **changes: object) -> Bundle:
    models = models_of(root)
    return models.bundle(models.write_bundle(wide_contents(**changes)))


def table_of(root: Path, override: str | None = WHY) -> str:
    settings = PrecomputeSettings(model=FINITE_NAME, variant="int8", shard_rows=1, override=override, quiet=True)
    return precompute(Registry(str(root)), settings, InlineRunner).table


def gate(root: Path, **settings: object) -> Published:
    wanted: dict[str, object] = {"model": FINITE_NAME, "variant": "int8", **settings}
    return publish(Registry(str(root)), PublishSettings(**wanted))  # type: ignore[arg-type]


def check_named(done: Published, name: str) -> Check:
    return next(check for check in done.checks if check.check == name)


def test_the_program_prints_what_it_measured_and_changes_nothing(tmp_path: Path) -> None:
    bundle = write_wide(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = foretable("variants", FINITE_NAME, "--registry", str(tmp_path), "--rows", "500")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"bundle {bundle.identity} of model {FINITE_NAME}, on this host, one thread"
    assert [line.split()[0] for line in lines[2:4]] == ["float32", "int8"]
    assert any(line.startswith("  share ") and line.endswith("allowed 0.05") for line in lines)
    (advice,) = [line for line in lines if line.startswith("take ")]
    assert advice.startswith(("take float32: int8: its bulk rate must be above", "take int8: "))
    assert [line.split()[:2] for line in lines[-3:]] == [["float32", "12"], ["float16", "6"], ["uint8", "3"]]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_label_names_the_bundle_to_measure(tmp_path: Path) -> None:
    release = publish_synthetic(str(tmp_path))
    newest = write_wide(tmp_path, time="2027-01-01T00:00:00Z")
    options = ["--registry", str(tmp_path), "--rows", "10", "--json"]
    assert foretable("variants", FINITE_NAME, *options).json()["bundle"] == newest.identity
    found = foretable("variants", FINITE_NAME, "--label", "production", *options).json()
    assert found["bundle"] == release.bundle
    assert [figures["variant"] for figures in found["variants"]] == ["float32"]
    assert (found["take"], found["reason"]) == ("float32", "there is no other variant")
    both = foretable("variants", FINITE_NAME, "--label", "production", "--bundle", newest.identity, *options)
    assert both.code == 64
    assert "--bundle or --label, not both" in both.err


def test_a_variant_that_errs_by_more_than_the_limit_is_refused_with_its_figure(tmp_path: Path) -> None:
    write_wide(tmp_path, limits={"variant_error": 0.001})
    options = ["--registry", str(tmp_path), "--variant", "int8", "--runner", "local"]
    refused = foretable("precompute", FINITE_NAME, *options)
    assert (refused.code, refused.out) == (65, "")
    assert "output 'share' must be within 0.001 of float32; got 0.0" in refused.err
    assert refused.err.rstrip().endswith("Take float32, or --override")
    assert not (tmp_path / FINITE_NAME / "tables").exists()
    with pytest.raises(
        Refused, match=r"variant error: 0\.0.* at most against float32 \(share of int8\), must be 0.001"
    ):
        gate(tmp_path, table="none")


def test_an_override_is_kept_in_the_tables_manifest_and_needs_a_reason(tmp_path: Path) -> None:
    bundle = write_wide(tmp_path, limits={"variant_error": 0.001})
    with pytest.raises(BadSettings, match="an override must have a reason"):
        table_of(tmp_path, " ")
    models = models_of(tmp_path)
    choice = read_table_manifest(models.storage, models.table_path(table_of(tmp_path)))["choice"]
    assert choice["override"] == WHY
    assert choice["variant"] == "int8"
    assert any(reason.startswith("output 'share' must be within 0.001") for reason in choice["objections"])
    assert choice["size_bytes"] == len(bundle.file("model.int8.tflite"))
    # The table's reason is not the release's: who publishes what errs by too much says why again.
    with pytest.raises(Refused, match="variant error: "):
        gate(tmp_path)
    done = gate(tmp_path, override="seen by eye")
    assert [check.check for check in done.checks if not check.passed] == ["variant error"]
    assert done.record.reason == "published; gate overridden: seen by eye"


def test_table_model_and_server_answer_with_the_bits_of_the_variant(tmp_path: Path) -> None:
    bundle = write_wide(tmp_path)
    table_of(tmp_path)
    done = gate(tmp_path)
    assert all(check.passed for check in done.checks), done.checks
    assert done.release.variant == "int8"
    assert check_named(done, "golden rows").figure == "21 of 21 equal to the bit"
    assert check_named(done, "recomputed rows").figure == "10,000 of 10,000 equal to the bit"
    assert check_named(done, "variant error").limit == "0.05 or less"
    assert models_of(tmp_path).release(1).gate == [check.__dict__ for check in done.checks]

    predictor = Predictor.open(str(tmp_path), FINITE_NAME)
    sample = sample_rows(bundle, 300)
    wanted = bundle.runtime("int8").infer(sample)
    assert wanted.tobytes() != bundle.runtime().infer(sample).tobytes()
    assert predictor.infer(sample).tobytes() == wanted.tobytes()
    assert predictor.table is not None
    values, hit = predictor.table.lookup(predictor.space.ordinals(sample))
    assert hit.all()
    assert values.tobytes() == wanted.tobytes()

    rows, _ = bundle.golden_rows()
    with ServerProcess(tmp_path, FINITE_NAME, logs=tmp_path / "log") as server:
        status, _, body = server.request(f"/v1/models/{FINITE_NAME}:predict", {"instances": rows})
    assert status == 200, body
    answered = np.array([[row["click"], *row["share"]] for row in json.loads(body)["predictions"]], np.float32)
    assert answered.tobytes() == np.array(bundle.golden_answers("int8"), np.float32).tobytes()
    assert foretable("verify", FINITE_NAME, "--registry", str(tmp_path)).code == 0


def test_a_release_without_a_table_says_what_was_measured_here(tmp_path: Path) -> None:
    write_wide(tmp_path)
    done = gate(tmp_path, table="none", override=WHY)
    rate = check_named(done, "variant rate")
    assert rate.figure.startswith("int8: ")
    assert rate.figure.endswith(" times float32's on this host")
    assert [check.check for check in done.checks if not check.passed and check.check != "variant rate"] == []


def test_golden_answers_that_another_variant_gave_are_refused(tmp_path: Path) -> None:
    sound = wide_contents()
    write_wide(tmp_path, variant_answers={"int8": sound.golden_answers})
    with pytest.raises(Refused, match="golden rows: 0 of 21 equal to the bit"):
        gate(tmp_path, table="none", override=None)
    write_wide(tmp_path, variant_answers={}, time="2026-03-01T00:00:00Z")
    with pytest.raises(Refused, match="golden rows: the bundle has no golden answers of int8"):
        gate(tmp_path, table="none", override=None)
