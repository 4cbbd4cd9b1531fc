"""Measurements of variants: on which rows, and what an error is. That a rate is a rate is left to its users."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engine.bundle import Bundle
from engine.errors import BadSettings
from engine.output import Output, OutputSchema
from engine.registry import Registry
from jobs.codec_figures import measure_codecs
from jobs.variant_figures import OutputError, measure_variants, output_errors, sample_rows
from tests.support.candidates import models_of, wide_contents
from tests.support.synthetic import NUMBERS_NAME, publish_numbers


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = models_of(tmp_path_factory.mktemp("registry"))
    return models.bundle(models.write_bundle(wide_contents()))


@pytest.fixture
def numbers(tmp_path: Path) -> Bundle:
    return Registry(str(tmp_path)).model(NUMBERS_NAME).bundle(publish_numbers(str(tmp_path)).bundle)


def test_an_error_is_of_one_output_and_absolute() -> None:
    schema = OutputSchema([Output("click"), Output("share", width=2, range=(-1.0, 1.0))])
    wanted = np.array([[0.5, 0.0, 0.0], [0.5, 0.25, 0.0]], np.float32)
    found = np.array([[0.5, 0.0, -0.5], [0.25, 0.0, 0.0]], np.float32)
    assert output_errors(found, wanted, schema) == {
        "click": OutputError(0.25, 0.125),
        "share": OutputError(0.5, 0.1875),
    }
    found[0, 0] = math.nan
    assert math.isnan(output_errors(found, wanted, schema)["click"].largest)


def test_rows_are_the_golden_ones_and_the_same_random_ones_each_time(bundle: Bundle) -> None:
    golden, _ = bundle.golden()
    rows = sample_rows(bundle, 500)
    assert len(rows) == len(golden) + 500
    assert rows.index[:, : len(golden)].tobytes() == golden.index.tobytes()
    assert len(np.unique(rows.index[:, len(golden) :], axis=1).T) > 400
    assert sample_rows(bundle, 500).index.tobytes() == rows.index.tobytes()
    assert sample_rows(bundle, 500, seed=1).index.tobytes() != rows.index.tobytes()


def test_rows_of_a_space_that_is_not_finite_have_golden_values_of_each_feature_alone(numbers: Bundle) -> None:
    golden, _ = numbers.golden()
    rows = sample_rows(numbers, 300).take(slice(len(golden), None))
    assert len(rows) == 300
    for column, known in zip(rows.number, golden.number, strict=True):
        assert set(column.tolist()) <= set(known.tolist())
    assert {row.tobytes() for row in rows.tensors[0]} <= {row.tobytes() for row in golden.tensors[0]}
    known_pairs = {pair.tobytes() for pair in golden.number.T}
    assert any(pair.tobytes() not in known_pairs for pair in rows.number.T)


def test_each_variant_is_measured_against_float32(bundle: Bundle) -> None:
    float32, int8 = measure_variants(bundle, ["float32", "int8"], rows=200)
    assert (float32.variant, int8.variant) == ("float32", "int8")
    assert float32.bulk_ratio == 1.0
    assert set(float32.errors.values()) == {OutputError(0.0, 0.0)}
    assert set(int8.errors) == {"click", "share"}
    for figures in (float32, int8):
        assert figures.size_bytes == len(bundle.file(f"model.{figures.variant}.tflite"))
        assert 0 < figures.row_median_us <= figures.row_p99_us
        assert figures.bulk_rows_per_s > 0
        assert figures.bulk_ratio > 0
    rows = sample_rows(bundle, 200)
    off = np.abs(bundle.runtime("int8").infer(rows).astype(np.float64) - bundle.runtime().infer(rows))
    assert int8.errors["share"] == OutputError(float(off[:, 1:].max()), float(off[:, 1:].mean()))
    assert 0 < int8.errors["share"].mean < int8.errors["share"].largest < 0.05


def test_a_variant_that_is_not_there_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BadSettings, match="must be one of float32, int8; got 'int4'"):
        measure_variants(bundle, ["int4"], rows=1)


def test_codecs_are_measured_on_the_answers(bundle: Bundle) -> None:
    answers = bundle.runtime().infer(sample_rows(bundle, 100))
    found = {codec.codec: codec for codec in measure_codecs(bundle, answers)}
    assert {name: codec.row_bytes for name, codec in found.items()} == {"float32": 12, "float16": 6, "uint8": 3}
    assert found["uint8"].table_bytes == 36_360 * 3
    assert (found["float32"].error_limit, found["float32"].largest_error) == (0.0, 0.0)
    for name, limit in (("float16", 2.0**-12), ("uint8", 1 / 255)):
        codec = found[name]
        assert codec.error_limit == pytest.approx(limit, rel=1e-5)
        assert codec.largest_error is not None
        assert codec.error_limit is not None
        assert 0 < codec.largest_error <= codec.error_limit


def test_a_codec_that_cannot_store_the_answers_says_why(numbers: Bundle) -> None:
    answers = np.full((2, 3), 1e6, np.float32)
    (fault,) = [codec.fault for codec in measure_codecs(numbers, answers) if codec.fault]
    assert fault.startswith("an answer in float16 must be within -65504 and 65504; got")
    assert {codec.table_bytes for codec in measure_codecs(numbers, answers)} == {None}
