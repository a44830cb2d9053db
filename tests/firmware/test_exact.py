"""core.exact against fractions.Fraction."""

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core import exact

LIMIT = 2**63 - 1
SCALES = st.one_of(st.integers(1, 10**6), st.integers(-(10**6), -1))
SHIFTS = st.integers(-20, 20)


def expected(value):
    """round() of a Fraction is half-even."""
    rounded = round(value)
    return rounded if abs(rounded) <= LIMIT else None


@given(st.integers(), st.integers().filter(bool))
def test_divide_half_even(n, d):
    assert exact.divide_half_even(n, d) == round(Fraction(n, d))


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**15), st.sampled_from([1, -1]))
def test_ties_go_to_the_even_neighbour(n, half, sign):
    d = 2 * half * sign
    assert exact.divide_half_even(n * d + half * sign, d) == n + (n & 1)


@given(st.integers(-(2**63), 2**64 - 1), SCALES, SHIFTS)
@example(LIMIT, 1, 0)
@example(-LIMIT, 1, 0)
@example(LIMIT + 1, 1, 0)
@example(-LIMIT - 1, 1, 0)
@example(LIMIT * 10 + 5, 1, -1)
@example(LIMIT * 10 + 4, 1, -1)
def test_scale(raw, m, shift):
    assert exact.scale(raw, m, shift) == expected(raw * m * Fraction(10) ** shift)


def check_float(bits, width, m, shift):
    value = struct.unpack(">f" if width == 32 else ">d", bits.to_bytes(width // 8, "big"))[0]
    wanted = expected(Fraction(value) * m * Fraction(10) ** shift) if math.isfinite(value) else None
    assert exact.float_bits(bits, width, m, shift) == wanted


@given(st.integers(0, 2**32 - 1), SCALES, SHIFTS)
@example(0x7F800000, 1, 0)  # infinity
@example(0x7F800000, 1, -20)  # which would fit, were it a number
@example(0xFFC00000, 1, 0)  # NaN
@example(0x80000000, 1, 0)  # minus zero
@example(0x00000001, 1, 60)  # the smallest subnormal number
@example(0x7F7FFFFF, 1, -20)  # the largest number
@example(0x5EFFFFFF, 1, 0)  # the largest below 2 ** 63
@example(0x5F000000, 1, 0)  # 2 ** 63
@example(0x3F000000, 1, 0)  # 0.5
def test_float32(bits, m, shift):
    check_float(bits, 32, m, shift)


@given(st.floats(-1e6, 1e6, width=32), st.integers(-3, 3))
def test_float32_of_usual_size(value, shift):
    check_float(struct.unpack(">I", struct.pack(">f", value))[0], 32, 1, shift)


@given(st.integers(0, 2**64 - 1), SCALES, SHIFTS)
@example(0x7FF0000000000000, 1, 0)
@example(0x7FF0000000000000, 1, -300)
@example(0xFFF8000000000000, 1, 0)
@example(0x0000000000000001, 1, 0)
@example(0x7FEFFFFFFFFFFFFF, 1, -20)
@example(0x43DFFFFFFFFFFFFF, 1, 0)  # the largest below 2 ** 63
@example(0xC3E0000000000000, 1, 0)  # -2 ** 63
def test_float64(bits, m, shift):
    check_float(bits, 64, m, shift)


@given(st.floats(-1e15, 1e15), st.integers(-3, 3))
def test_float64_of_usual_size(value, shift):
    check_float(struct.unpack(">Q", struct.pack(">d", value))[0], 64, 1, shift)


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12),
    st.integers(-6, 3),
)
def test_a_number_in_text_is_read_exactly(value, exponent):
    scaled = (Fraction(value) / Fraction(10) ** exponent).limit_denominator(10**12)
    assert exact.parse(f"{value:f}", exponent) == exact.divide_half_even(scaled.numerator, scaled.denominator)


@given(st.text(max_size=50))
def test_any_text_gives_a_number_or_none(text):
    assert exact.parse(text, -2) is None or text.strip("+-").replace(".", "", 1).isdigit()


@pytest.mark.parametrize("text", ["", "-", ".", "1.2.3", "1e5", "٣", "²", "--1", "1 ", "9" * 41, "9" * 20])
def test_what_is_no_number_is_none(text):
    assert exact.parse(text, 0) is None
