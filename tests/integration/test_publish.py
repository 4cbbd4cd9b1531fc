"""The publish gate, labels and rollback: each fault that a candidate may have, made on purpose."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.codec import codec_named
from engine.errors import BadArtifact, BadSettings, LostRace, NotFound, Refused
from engine.manifest import seal
from engine.predictor import Predictor
from engine.registry import Registry
from jobs.gate import Candidate, Check, run_gate
from jobs.precompute import PrecomputeSettings, precompute
from jobs.publish import Published, PublishSettings, publish
from jobs.rollback import rollback
from tests.support.candidates import build_table, contents, flip_byte, models_of, write_candidate
from tests.support.inline_runner import InlineRunner
from tests.support.programs import BIN, finish, foretable, start
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, publish_numbers, synthetic_model

LATER = "2026-02-01T00:00:00Z"
ROWS = 36_360
SHARD_BYTES = 64 + 12 * 5461 + 4 + 12


def table_of(root: Path, bundle: str | None = None, codec: str = "float32") -> Path:
    """Precompute and return the table's directory."""
    settings = PrecomputeSettings(model=FINITE_NAME, bundle=bundle, codec=codec, shard_rows=1, quiet=True)
    return root / models_of(root).table_path(precompute(Registry(str(root)), settings, InlineRunner).table)


def gate(root: Path, report: Callable[[Check], object] = lambda _: None, **settings: Any) -> Published:
    return publish(Registry(str(root)), PublishSettings(model=FINITE_NAME, **settings), report)


def production(root: Path) -> int:
    """The release that the label points to; 0 where it has no record."""
    head = models_of(root).label().head()
    return head.release if head else 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A registry with one release in production."""
    write_candidate(tmp_path)
    table_of(tmp_path)
    gate(tmp_path)
    return tmp_path


def refused_by(root: Path, *names: str, **settings: Any) -> str:
    """Publish, see that exactly these checks refuse it and that nothing moved; return the message."""
    before, releases, seen = production(root), models_of(root).releases(), list[Check]()
    with pytest.raises(Refused) as caught:
        gate(root, seen.append, **settings)
    assert [check.check for check in seen if not check.passed] == list(names)
    assert caught.value.exit_code == 65
    assert "'production' stays where it is" in str(caught.value)
    assert all(f"{name}: " in str(caught.value) for name in names)
    assert (production(root), models_of(root).releases()) == (before, releases)
    return str(caught.value)


# What passes


def test_a_sound_candidate_passes_with_its_figures(tmp_path: Path) -> None:
    bundle = write_candidate(tmp_path, limits={"metric_drop": {"click.auc": 0.01, "click.log_loss": 0.01}})
    folder = table_of(tmp_path)
    done = gate(tmp_path, reason="first model")
    found = {check.check: (check.passed, check.figure) for check in done.checks}
    files = [path.stat().st_size for path in (tmp_path / FINITE_NAME / "bundles" / bundle).iterdir()]
    files.remove((tmp_path / FINITE_NAME / "bundles" / bundle / "manifest.json").stat().st_size)
    size_bytes = sum(path.stat().st_size for path in folder.glob("*.dense"))
    assert found == {
        "bundle digests": (True, f"2 files, {sum(files):,} bytes match"),
        "table digests": (True, f"7 shards, {size_bytes:,} bytes match"),
        "table blocks": (True, "0 corrupt"),
        "table rows": (True, "36,360"),
        "golden rows": (True, "21 of 21 equal to the bit"),
        "recomputed rows": (True, "10,000 of 10,000 equal to the bit"),
        "codec error": (True, "0 at most against float32 (float32)"),
        "click.auc": (True, "0.75000"),
        "click.log_loss": (True, "0.50000"),
        "response distribution": (True, "no production to compare with"),
    }
    assert (done.release.number, done.release.bundle, done.release.table) == (1, bundle, folder.name)
    assert models_of(tmp_path).release(1).gate == [check.__dict__ for check in done.checks]
    assert (done.record.number, done.record.release, done.record.reason) == (1, 1, "first model")


def test_the_program_prints_each_check(root: Path) -> None:
    done = foretable("publish", FINITE_NAME, "--registry", str(root), "--sample-rows", "100")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line[:30].split("  ")[1].strip() for line in lines[:-1]] == [
        "bundle digests",
        "table digests",
        "table blocks",
        "table rows",
        "golden rows",
        "recomputed rows",
        "codec error",
        "response distribution",
    ]
    assert all(line.startswith("pass  ") for line in lines[:-1])
    assert "100 of 100 equal to the bit" in done.out
    assert lines[-1] == "release 2 of synthetic; production points to it"
    fields = foretable("publish", FINITE_NAME, "--registry", str(root), "--json").json()
    assert (fields["release"], fields["record"], fields["label"]) == (3, 3, "production")
    assert all(check["passed"] for check in fields["gate"])


def test_a_quantised_table_passes_within_its_codecs_promise(root: Path) -> None:
    table_of(root, codec="uint8")
    done = gate(root, codec="uint8")
    assert done.release.codec["name"] == "uint8"
    assert all(check.passed for check in done.checks)
    error = next(check for check in done.checks if check.check == "codec error")
    limits = codec_named("uint8", contents().schema).error_limits()
    assert 0 < float(error.figure.split()[0]) <= float(limits.max())


def test_a_space_that_is_not_finite_is_published_without_a_table(tmp_path: Path) -> None:
    publish_numbers(str(tmp_path))
    done = publish(Registry(str(tmp_path)), PublishSettings(model=NUMBERS_NAME, table="none"))
    names = [check.check for check in done.checks]
    assert names == ["bundle digests", "golden rows", "codec error", "response distribution"]
    assert all(check.passed for check in done.checks)


def test_without_a_table_it_says_what_to_do(tmp_path: Path) -> None:
    bundle = write_candidate(tmp_path)
    with pytest.raises(NotFound, match=f"bundle {bundle} .* precompute it first, or publish without one"):
        gate(tmp_path)
    assert gate(tmp_path, table="none").release.table is None


def test_a_damaged_table_of_another_bundle_is_no_hindrance(root: Path) -> None:
    for number, data in enumerate((b"", b"{}", b'{"format":{"kind":"table","version":1}}')):
        folder = root / FINITE_NAME / "tables" / f"{number:032d}"
        folder.mkdir()
        (folder / "manifest.json").write_bytes(data)
    assert gate(root).release.number == 2


# What is refused: each check by the fault that it is there for


def test_a_flipped_byte_in_the_model_is_refused_by_name(root: Path) -> None:
    bundle = write_candidate(root, time=LATER)
    table_of(root, bundle)
    flip_byte(root / FINITE_NAME / "bundles" / bundle / "model.float32.tflite", 3_000)
    ended = foretable("publish", FINITE_NAME, "--registry", str(root), "--bundle", bundle)
    assert (ended.code, ended.out) == (65, "")
    assert f"{bundle}/model.float32.tflite: must be " in ended.err
    assert "The file is damaged: copy it again, or export again" in ended.err
    assert (production(root), models_of(root).releases()) == (1, [1])


def test_a_flipped_byte_in_a_variant_that_is_not_served_is_found(root: Path) -> None:
    variants = {**contents().variants, "spare": synthetic_model()}
    bundle = write_candidate(root, time=LATER, variants=variants)
    table_of(root, bundle)
    flip_byte(root / FINITE_NAME / "bundles" / bundle / "model.spare.tflite", 3_000)
    assert "model.spare.tflite" in refused_by(root, "bundle digests", bundle=bundle)


def test_a_flipped_byte_in_a_shard_is_refused_by_name(root: Path) -> None:
    bundle = write_candidate(root, time=LATER)
    folder = table_of(root, bundle)
    flip_byte(folder / "shard-000004.dense", 64 + 9)
    message = refused_by(root, "table digests", "table blocks", "recomputed rows")
    assert "shard-000004.dense has " in message
    assert "table blocks: 1 corrupt" in message


def test_a_shard_that_was_built_anew_is_not_the_one_of_the_manifest(root: Path) -> None:
    """The block's checksum holds; only the manifest's digest tells."""
    bundle = write_candidate(root, time=LATER)
    folder = table_of(root, bundle)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["shard-000002.dense"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_bytes(seal(manifest))
    assert "shard-000002.dense" in refused_by(root, "table digests")


def test_a_manifest_must_name_every_shard(root: Path) -> None:
    folder = table_of(root, write_candidate(root, time=LATER))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["files"]["shard-000006.dense"]
    (folder / "manifest.json").write_bytes(seal(manifest))
    assert "shard-000006.dense" in refused_by(root, "table digests")


@pytest.mark.parametrize("rows", [ROWS - 1, ROWS - 5461, ROWS + 1])
def test_a_table_of_other_rows_is_refused(root: Path, rows: int) -> None:
    """Whichever of the loader and the gate sees it first."""
    if rows > ROWS:
        key = build_table(root, write_candidate(root, time=LATER))
        manifest = root / FINITE_NAME / "tables" / key / "manifest.json"
        fields = json.loads(manifest.read_bytes())
        fields["spec"]["rows"] = rows
        manifest.write_bytes(seal(fields))
    else:
        build_table(root, write_candidate(root, time=LATER), rows=rows)
    with pytest.raises((BadArtifact, Refused), match=r"rows|key") as caught:
        gate(root)
    assert caught.value.exit_code == 65
    assert (production(root), models_of(root).releases()) == (1, [1])


@pytest.mark.parametrize("by", [0.25, 2e-5])
def test_wrong_golden_answers_are_refused(root: Path, by: float) -> None:
    answers = contents().golden_answers.copy()
    answers[7, 1] += np.float32(by)
    bundle = write_candidate(root, time=LATER, golden_answers=answers)
    ended = foretable("publish", FINITE_NAME, "--registry", str(root), "--table", "none", "--bundle", bundle)
    assert ended.code == 65
    assert "golden row 7 must answer" in ended.err
    assert production(root) == 1


def test_a_model_of_other_weights_is_refused(root: Path) -> None:
    """The bundle is whole by its digests, but the model is not the one whose answers it holds."""
    model = _negated_weights(synthetic_model())
    bundle = write_candidate(root, time=LATER, variants={"float32": model})
    with pytest.raises(BadArtifact, match="golden row"):
        gate(root, bundle=bundle, table="none")
    assert production(root) == 1


def _negated_weights(data: bytes) -> bytes:
    """Return a model with the longest run of what look like weights negated."""
    model = np.frombuffer(data, "<f4").copy()
    plausible = (np.abs(model) > 1e-3) & (np.abs(model) < 10)
    start, stop = max(
        (match.span() for match in re.finditer(rb"\x01+", plausible.astype(np.uint8).tobytes())),
        key=lambda run: run[1] - run[0],
    )
    model[start:stop] *= -1
    return model.tobytes()


def _wrong_shard(answers: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.float32]:
    return np.nextafter(answers, np.float32(2)) if number == 5 else answers


def test_wrong_values_under_valid_checksums_are_found_by_recomputing(root: Path) -> None:
    bundle = write_candidate(root, time=LATER)
    build_table(root, bundle, change=_wrong_shard)
    golden = [dict(row) for row in contents().golden_rows]
    bad = sum(5 * 5461 <= contents().space.ordinal_of(row) < 6 * 5461 for row in golden)
    seen: list[Check] = []
    with pytest.raises(Refused):
        gate(root, seen.append)
    failed = {check.check: check.figure for check in seen if not check.passed}
    assert set(failed) == {"golden rows", "recomputed rows"}
    assert failed["golden rows"] == f"{21 - bad} of 21 equal to the bit"
    equal = int(failed["recomputed rows"].split(" of ")[0].replace(",", ""))
    assert abs(equal / 10_000 - (1 - 5461 / ROWS)) < 0.02  # a sample: 15 % of the rows are wrong
    assert production(root) == 1


def test_values_that_no_golden_row_has_are_found_by_recomputing(root: Path) -> None:
    bundle = write_candidate(root, time=LATER)
    golden = {contents().space.ordinal_of(dict(row)) for row in contents().golden_rows}

    def change(answers: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.float32]:
        wrong = np.nextafter(answers, np.float32(2))
        keep = [ordinal - number * 5461 for ordinal in golden if 0 <= ordinal - number * 5461 < len(answers)]
        wrong[keep] = answers[keep]
        return wrong

    build_table(root, bundle, change=change)
    refused_by(root, "recomputed rows")


def test_a_table_of_another_numeric_class_is_refused(root: Path) -> None:
    folder = table_of(root, write_candidate(root, time=LATER))
    models = models_of(root)
    bundle = models.newest_bundle()
    release = replace(models.release(1), bundle=bundle.identity, bundle_digest=bundle.digest, table=folder.name)
    predictor = Predictor.load(models, release)
    assert predictor.table is not None
    predictor.numeric_class = "litert-9.9-0000000000000000"
    found = {check.check: check for check in run_gate(Candidate(models, predictor, None))}
    assert not found["recomputed rows"].passed
    assert "publish from a host like the workers" in found["recomputed rows"].limit


def test_an_error_of_the_codec_over_the_declared_limit_is_refused(root: Path) -> None:
    bundle = write_candidate(root, time=LATER, limits={"codec_error": 1e-4})
    table_of(root, bundle, "uint8")
    assert "(uint8), must be 0.0001 or less" in refused_by(root, "codec error", codec="uint8")
    table_of(root, bundle)
    assert gate(root).release.bundle == bundle  # float32 has no error


LIMITS = {"metric_drop": {"click.auc": 0.01, "click.log_loss": 0.02}}


@pytest.mark.parametrize(
    "metrics, refusing",
    [
        ({"click.auc": 0.7401, "click.log_loss": 0.5199}, []),
        ({"click.auc": 0.9, "click.log_loss": 0.1}, []),
        ({"click.auc": 0.7399, "click.log_loss": 0.5}, ["click.auc"]),
        ({"click.auc": 0.75, "click.log_loss": 0.5201}, ["click.log_loss"]),
        ({"click.auc": 0.5, "click.log_loss": 0.7}, ["click.auc", "click.log_loss"]),
        ({"click.log_loss": 0.5}, ["click.auc"]),
    ],
)
def test_a_metric_worse_than_productions_is_refused(root: Path, metrics: dict[str, float], refusing: list[str]) -> None:
    write_candidate(root, time=LATER, metrics=metrics, limits=LIMITS)
    if refusing:
        refused_by(root, *refusing, table="none")
    else:
        assert all(check.passed for check in gate(root, table="none").checks)


def test_answers_that_spread_otherwise_than_productions_are_refused(root: Path) -> None:
    histogram = json.loads(json.dumps(contents().histogram))
    histogram["click"][0] = [0] * 19 + [sum(histogram["click"][0])]
    write_candidate(root, time=LATER, histogram=histogram)
    message = refused_by(root, "response distribution", table="none")
    assert re.search(r"stability index \d+\.\d{4} against production, must be 0\.25 or less", message)
    lenient = write_candidate(root, time="2026-03-01T00:00:00Z", histogram=histogram, limits={"stability_index": 1e3})
    assert gate(root, table="none").release.bundle == lenient


def test_the_program_says_which_check_and_changes_nothing(root: Path) -> None:
    write_candidate(root, time=LATER, metrics={"click.auc": 0.5}, limits={"metric_drop": {"click.auc": 0.01}})
    ended = foretable("publish", FINITE_NAME, "--registry", str(root), "--table", "none")
    assert ended.code == 65
    assert "FAIL  click.auc" in ended.out
    assert "the gate refused bundle" in ended.err
    assert "click.auc: 0.50000, must be 0.74000 or more" in ended.err
    assert (production(root), models_of(root).releases()) == (1, [1])


def test_an_override_is_published_and_recorded(root: Path) -> None:
    write_candidate(root, time=LATER, metrics={"click.auc": 0.5}, limits={"metric_drop": {"click.auc": 0.01}})
    command = ("publish", FINITE_NAME, "--registry", str(root), "--table", "none", "--reason", "new market")
    ended = foretable(*command, "--override", "the holdout is of the old market", "--json")
    assert ended.json()["release"] == 2
    shown = foretable("releases", FINITE_NAME, "--registry", str(root), "--history")
    assert "production 2 -> release 2: new market; gate overridden: the holdout is of the old market" in shown.out
    failed = [check["check"] for check in models_of(root).release(2).gate if not check["passed"]]
    assert failed == ["click.auc"]


def test_an_override_needs_a_reason(root: Path) -> None:
    for reason in ("", "  "):
        with pytest.raises(BadSettings, match="an override must have a reason"):
            gate(root, override=reason)
    assert production(root) == 1


def test_an_override_that_was_not_needed_is_not_recorded(root: Path) -> None:
    assert gate(root, override="just in case").record.reason == "published"


# Labels


def test_of_two_publishers_at_once_one_wins(root: Path) -> None:
    together = Barrier(2)
    outcomes: list[object] = []

    def publisher(name: str) -> None:
        def meet(check: Check) -> None:
            if check.check == "response distribution":  # both have read the label, neither has moved it
                together.wait(30)

        try:
            outcomes.append(gate(root, meet, reason=name))
        except LostRace as error:
            outcomes.append(error)

    threads = [Thread(target=publisher, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = (outcome for outcome in outcomes if isinstance(outcome, Published))
    (lost,) = (outcome for outcome in outcomes if isinstance(outcome, LostRace))
    assert lost.exit_code == 75
    assert f"got record 2: release {won.release.number} ({won.record.reason}). Publish again" in str(lost)
    assert production(root) == won.release.number
    assert gate(root).record.number == 3


def test_publishing_processes_never_share_a_record(root: Path) -> None:
    command = [str(BIN / "foretable"), "publish", FINITE_NAME, "--registry", str(root), "--sample-rows", "10", "--json"]
    ended = [finish(process) for process in [start(*command) for _ in range(4)]]
    assert {result.code for result in ended} <= {0, 75}
    records = [result.json()["record"] for result in ended if result.code == 0]
    assert len(records) >= 1
    history = models_of(root).label().history()
    assert sorted(records) == [record.number for record in history[1:]]
    assert all("Publish again" in result.err for result in ended if result.code == 75)


def test_labels_are_apart(root: Path) -> None:
    gate(root, label="canary")
    assert (production(root), models_of(root).labels()) == (1, ["canary", "production"])
    listed = foretable("releases", FINITE_NAME, "--registry", str(root), "--json").json()["models"][FINITE_NAME]
    assert [release["number"] for release in listed["releases"]] == [1, 2]
    assert {name: records[-1]["release"] for name, records in listed["labels"].items()} == {
        "production": 1,
        "canary": 2,
    }


def test_rollback_and_history(root: Path) -> None:
    gate(root, reason="second")
    ended = foretable("rollback", FINITE_NAME, "--registry", str(root), "--reason", "answers too high", "--json")
    assert ended.json() == {"label": "production", "release": 1, "was": 2, "record": 3}
    named = foretable("rollback", FINITE_NAME, "--registry", str(root), "--to", "2")
    assert named.out == "production of synthetic points to release 2 (was 1)\n"
    history = [(record.number, record.release, record.reason) for record in models_of(root).label().history()]
    assert history == [(1, 1, "published"), (2, 2, "second"), (3, 1, "answers too high"), (4, 2, "rolled back from 1")]
    shown = foretable("releases", FINITE_NAME, "--registry", str(root), "--history").out
    assert [line.split("  ")[-1] for line in shown.splitlines() if "<-" in line] == ["<- production"]
    assert "production 3 -> release 1: answers too high" in shown


def test_rollback_with_nothing_to_go_back_to(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(NotFound, match="has only ever pointed to release 1"):
        rollback(models_of(root), label="production", to=None, reason="")
    with pytest.raises(NotFound, match="release of 'synthetic' must be one of 1; got 9"):
        rollback(models_of(root), label="production", to=9, reason="")
    with pytest.raises(NotFound, match="has no record yet: publish first"):
        rollback(models_of(tmp_path_factory.mktemp("empty")), label="production", to=None, reason="")
    assert production(root) == 1


@pytest.mark.parametrize("damaged", ["table", "model"])
def test_rollback_to_what_cannot_be_loaded_is_refused(root: Path, damaged: str) -> None:
    first = models_of(root).release(1)
    second = write_candidate(root, time=LATER)
    table_of(root, second)
    gate(root)
    if damaged == "table":
        (root / FINITE_NAME / "tables" / str(first.table) / "shard-000003.dense").unlink()
    else:
        flip_byte(root / FINITE_NAME / "bundles" / first.bundle / "model.float32.tflite", 500)
    ended = foretable("rollback", FINITE_NAME, "--registry", str(root))
    assert ended.code in {64, 65}
    assert ("shard-000003.dense" if damaged == "table" else "model.float32.tflite") in ended.err
    assert production(root) == 2


@pytest.mark.parametrize("data", [b"", b"{not json", b"[]", b'{"format":{"kind":"label","version":1}}'])
def test_a_label_record_that_cannot_be_read_is_named_and_never_skipped(
    root: Path, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    gate(root)
    record = root / FINITE_NAME / "labels" / "production" / "00000002.json"
    whole = record.read_bytes()
    record.write_bytes(data)
    for program in ("publish", "rollback", "releases"):
        assert import_module(f"jobs.{program}").main([FINITE_NAME, "--registry", str(root)]) == 65
        message = capsys.readouterr().err
        assert "labels/production/00000002.json: must " in message
        assert "estore" in message or data == b"[]"
    record.write_bytes(whole)
    assert gate(root).record.number == 3


@pytest.mark.parametrize("kind", ["labels/production", "releases", "tables", "bundles"])
def test_a_later_format_version_is_refused(root: Path, kind: str) -> None:
    release = models_of(root).release(1)
    names = {"tables": f"{release.table}/manifest.json", "bundles": f"{release.bundle}/manifest.json"}
    path = root / FINITE_NAME / kind / names.get(kind, "00000001.json")
    path.write_bytes(re.sub(rb'"version":1\}', b'"version":2}', path.read_bytes(), count=1))
    ended = foretable("predict", FINITE_NAME, "--registry", str(root), "city=Zürich", "plan=pro", "age=33", "size=1")
    assert (ended.code, ended.out) == (65, "")
    assert "format version 1; got 2. It was written by another foretable: upgrade this one" in ended.err


def test_a_damaged_production_is_a_failed_check_that_an_override_passes(root: Path) -> None:
    """What is damaged must not keep its replacement out."""
    before = production(root)
    assert before is not None
    served = models_of(root).release(before).bundle
    bundle = write_candidate(root, time=LATER)
    table_of(root, bundle)
    (root / FINITE_NAME / "bundles" / served / "manifest.json").write_bytes(b"{}")
    assert "must be a bundle manifest" in refused_by(root, "production", bundle=bundle)
    assert gate(root, bundle=bundle, override="its bundle is damaged").release.number == before + 1
