"""Codecs: one suite for all, and what uint8 promises, against exact fractions."""

from __future__ import annotations

import json
import math
import struct
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.codec import Codec, Float16Codec, Float32Codec, Uint8Codec, codec_from_json, codec_named
from engine.errors import BadSettings, InvalidInput
from engine.output import Output, OutputSchema

SCHEMA = OutputSchema([Output("click"), Output("share", width=2, range=(-1.0, 1.0))])
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def rows(largest: float) -> st.SearchStrategy[npt.NDArray[np.float32]]:
    """Up to five rows of ``SCHEMA`` whose magnitudes are ``largest`` at most."""
    elements = st.floats(-largest, largest, width=32)
    return hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(3)), elements=elements)


LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
# One suite runs for several codecs, which hypothesis would take for a mistake.
SUITE = settings(max_examples=50, suppress_health_check=[HealthCheck.differing_executors])


class CodecContract:
    """What every codec keeps, for the three values a row of ``SCHEMA``.

    Attributes:
        codec: the one under test.
        largest: the largest magnitude that it has a code for.
    """

    codec: Codec
    largest = LARGEST_FLOAT32

    @SUITE
    @given(st.data())
    def test_shape_and_type(self, data: st.DataObject) -> None:
        values = data.draw(rows(self.largest))
        codes = self.codec.encode(values)
        assert codes.shape == values.shape
        assert codes.dtype == self.codec.dtype
        decoded = self.codec.decode(codes)
        assert decoded.dtype == np.float32
        assert decoded.shape == values.shape

    @SUITE
    @given(st.data())
    def test_decoded_values_keep_their_code(self, data: st.DataObject) -> None:
        values = data.draw(rows(self.largest))
        codes = self.codec.encode(values)
        once = self.codec.decode(codes)
        assert self.codec.encode(once).tobytes() == codes.tobytes()
        assert self.codec.decode(self.codec.encode(once)).tobytes() == once.tobytes()

    @SUITE
    @given(st.data())
    def test_a_row_decodes_as_many_do(self, data: st.DataObject) -> None:
        values = data.draw(rows(self.largest))
        codes = self.codec.encode(values)
        assert [self.codec.decode_row(tuple(row.tolist())) for row in codes] == [
            tuple(row.tolist()) for row in self.codec.decode(codes)
        ]

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("place", [(0, 0), (1, 2)])
    def test_what_is_not_finite_is_refused(self, bad: float, place: tuple[int, int]) -> None:
        values = np.zeros((2, 3), np.float32)
        values[place] = bad
        with pytest.raises(InvalidInput, match=f"at row {place[0]}") as caught:
            self.codec.encode(values)
        assert caught.value.cause == "model_not_finite"

    def test_representable_rows_are_those_that_encode_takes(self) -> None:
        values = np.full((4, 3), 0.5, np.float32)
        values[1, 2], values[3, 0] = math.nan, -math.inf
        assert self.codec.representable(values).tolist() == [True, False, True, False]
        assert self.codec.representable(values[:0]).tolist() == []

    def test_infinities_that_cancel_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="must be finite"):
            self.codec.encode(np.array([[math.inf, -math.inf, 0.0]], np.float32))

    def test_a_sum_that_overflows_is_no_infinity(self) -> None:
        values = np.full((2, 3), self.largest, np.float32)
        assert self.codec.encode(values).shape == (2, 3)
        assert self.codec.representable(values).all()

    def test_json_goes_there_and_back(self) -> None:
        fields = json.loads(json.dumps(self.codec.to_json()))
        again = codec_from_json(fields)
        assert again.to_json() == self.codec.to_json() == fields
        values = np.linspace(-2, 2, 3000, dtype=np.float32).reshape(-1, 3)
        assert again.encode(values).tobytes() == self.codec.encode(values).tobytes()

    def test_error_limits_have_the_width(self) -> None:
        limits = self.codec.error_limits()
        assert limits.shape == (3,)
        assert limits.dtype == np.float32


class TestFloat32(CodecContract):
    codec = Float32Codec.of(SCHEMA)

    @given(rows(LARGEST_FLOAT32))
    def test_values_stay_equal_to_the_bit(self, values: npt.NDArray[np.float32]) -> None:
        assert self.codec.decode(self.codec.encode(values)).tobytes() == values.tobytes()


class TestFloat16(CodecContract):
    codec = Float16Codec.of(SCHEMA)
    largest = 65504.0

    @settings(max_examples=200)
    @given(st.floats(-65504, 65504, width=32))
    def test_the_nearest_value_answers(self, value: float) -> None:
        """Against binary16 as ``struct`` packs it, which rounds to the nearest even by the standard."""
        codes = self.codec.encode(np.full((1, 3), value, np.float32))
        assert codes.astype("<f2").tobytes() == struct.pack("<e", value) * 3

    def test_of_two_that_are_equally_near_the_even_one(self) -> None:
        step = 2.0**-10  # of binary16 between 1 and 2
        values = np.array([[1 + step / 2, 1 + 3 * step / 2, 1 + step / 2 + 2**-23]], np.float32)
        assert self.codec.encode(values).view(np.uint16).tolist() == [[0x3C00, 0x3C02, 0x3C01]]

    @settings(max_examples=200)
    @given(st.floats(0, 1, width=32), st.floats(-1, 1, width=32))
    def test_errors_stay_within_the_limits(self, click: float, share: float) -> None:
        values = np.array([[click, share, -share]], np.float32)
        errors = np.abs(self.codec.decode(self.codec.encode(values)).astype(np.float64) - values)
        assert (errors <= self.codec.error_limits()).all()

    def test_every_code_stays(self) -> None:
        bits = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        codes = np.repeat(bits[np.isfinite(bits)][:, np.newaxis], 3, axis=1)
        assert len(codes) == 2 * 31 * 1024
        assert self.codec.encode(self.codec.decode(codes)).tobytes() == codes.tobytes()

    def test_the_order_is_kept(self) -> None:
        values = np.linspace(-1, 1, 30_000, dtype=np.float32).reshape(-1, 1).repeat(3, axis=1)
        assert (np.diff(self.codec.decode(self.codec.encode(values)), axis=0) >= 0).all()

    @pytest.mark.parametrize("value", [65520.0, -65520.0, 1e30])
    def test_an_answer_that_overflows_is_refused(self, value: float) -> None:
        values = np.zeros((3, 3), np.float32)
        values[1, 2] = value
        assert self.codec.representable(values).tolist() == [True, False, True]
        with pytest.raises(
            InvalidInput, match=r"in float16 must be within -65504 and 65504; got .* at row 1\. Use"
        ) as e:
            self.codec.encode(values)
        assert e.value.cause == "model_overflows_codec"

    def test_what_rounds_to_the_largest_value_is_none(self) -> None:
        values = np.full((1, 3), np.nextafter(np.float32(65520), np.float32(0)))
        assert self.codec.decode(self.codec.encode(values)).tolist() == [[65504.0] * 3]


@pytest.mark.parametrize(
    "low, high, limit",
    [
        (0.0, 1.0, 2.0**-12),  # the step below 1 is 2**-11
        (0.0, 1.5, 2.0**-11),
        (-1.0, 1.0, 2.0**-12),
        (-3.0, 1.0, 2.0**-10),
        (0.0, 65504.0, 16.0),
        (0.0, 2.0**-14, 2.0**-25),  # values below it are subnormal
        (0.0, 1e-12, 2.0**-25),
    ],
)
def test_float16_promises_half_a_step_at_the_end_of_the_range(low: float, high: float, limit: float) -> None:
    assert Float16Codec([(low, high)]).error_limits().tolist() == [limit]


@pytest.mark.parametrize("low, high", [(0.0, 65505.0), (-1e6, 0.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_range_that_float16_has_no_values_for_is_refused(low: float, high: float) -> None:
    with pytest.raises(BadSettings, match="a float16 range must lie within -65504 and 65504; got"):
        Float16Codec([(low, high)])


class TestUint8(CodecContract):
    codec = Uint8Codec.of(SCHEMA)

    def test_the_ends_and_the_middle(self) -> None:
        values = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -7.0], [2.0, 1e30, -1e30]], np.float32)
        assert self.codec.encode(values).tolist() == [[0, 0, 255], [255, 128, 0], [255, 255, 0]]
        assert self.codec.decode(np.array([[0, 0, 0], [255, 255, 255]], np.uint8)).tolist() == [[0, -1, -1], [1, 1, 1]]


BOUNDS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e10, -1e30, 3e38])


def scale_of(low: float, high: float) -> list[Fraction]:
    """The 256 values as exact fractions, written down from the codec's specification."""
    values = [np.float32(low + (high - low) * step / 255) for step in range(256)]
    return [Fraction(float(value)) for value in values]


@st.composite
def codecs(draw: st.DrawFn) -> tuple[Uint8Codec, float, float]:
    low, high = draw(BOUNDS), draw(BOUNDS)
    assume(low < high)
    assume(high - low > max(1e-3 * max(abs(low), abs(high)), 1e-35))
    return Uint8Codec([(low, high)]), low, high


@settings(max_examples=30)
@given(codecs(), st.data())
def test_uint8_takes_the_nearest_value(made: tuple[Uint8Codec, float, float], data: st.DataObject) -> None:
    codec, low, high = made
    scale = scale_of(low, high)
    step = data.draw(st.integers(0, 254))
    middle = np.float32(float((scale[step] + scale[step + 1]) / 2))
    close = [middle, np.nextafter(middle, np.float32(-np.inf)), np.nextafter(middle, np.float32(np.inf))]
    drawn = [data.draw(FINITE), data.draw(st.floats(max(low, -3e38), min(high, 3e38)).map(np.float32))]
    for value in np.array([*close, *drawn], np.float32):
        (code,) = codec.encode(np.array([[value]]))[0].tolist()
        distances = [abs(Fraction(float(value)) - other) for other in scale]
        nearest = min(distances)
        # Of two that are equally near, the upper one.
        assert code == max(place for place, distance in enumerate(distances) if distance == nearest)
        assert Fraction(codec.decode_row((code,))[0]) == scale[code]
        if scale[0] <= Fraction(float(value)) <= scale[255]:
            assert nearest <= Fraction(float(codec.error_limits()[0]))


@settings(max_examples=50)
@given(codecs(), st.lists(FINITE, min_size=2, max_size=50))
def test_uint8_keeps_the_order(made: tuple[Uint8Codec, float, float], values: list[float]) -> None:
    codec, _, _ = made
    column = np.sort(np.array(values, np.float32))[:, np.newaxis]
    codes = codec.encode(column)[:, 0]
    assert (np.diff(codes.astype(int)) >= 0).all()
    assert (np.diff(codec.decode(codes[:, np.newaxis])[:, 0]) >= 0).all()


def test_uint8_keeps_every_code() -> None:
    codec = Uint8Codec([(0.0, 1.0), (-1e-30, 1e10)])
    codes = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 2, axis=1)
    assert codec.encode(codec.decode(codes)).tolist() == codes.tolist()


@pytest.mark.parametrize(
    "low, high", [(1.0, 1.0 + 1e-6), (1e30, 1.0000001e30), (-1e39, 1e39), (0.0, 1e39), (-1.7e308, 1.7e308), (0, 1e-44)]
)
def test_a_range_without_256_float32_values_is_refused(low: float, high: float) -> None:
    with pytest.raises(BadSettings, match="256 distinct, finite float32 values; got"):
        Uint8Codec([(low, high)])


def test_outputs_of_a_group_share_one_scale() -> None:
    schema = OutputSchema(
        [
            Output("a", range=(0, 1), group="rates"),
            Output("b", width=2, range=(-3, 0.5), group="rates"),
            Output("c", range=(0, 8)),
            Output("rates", range=(5, 6)),  # named as the group, and not of it
        ]
    )
    assert codec_named("uint8", schema).to_json() == {
        "name": "uint8",
        "ranges": [[-3.0, 1.0], [-3.0, 1.0], [-3.0, 1.0], [0.0, 8.0], [5.0, 6.0]],
    }


@pytest.mark.parametrize("name", ["bfloat16", "", None, 7])
def test_an_unknown_codec_is_refused(name: object) -> None:
    with pytest.raises(BadSettings, match="a codec must be one of float32, float16, uint8; got"):
        codec_named(name, SCHEMA)  # type: ignore[arg-type]
    with pytest.raises(BadSettings, match="a codec must be one of float32, float16, uint8; got"):
        codec_from_json({"name": name})
