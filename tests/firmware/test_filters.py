"""process.filters against statistics.median_low."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.core.errors import SettingError
from gateway.process import filters

MANTISSAS = st.integers(-(2**63) + 1, 2**63 - 1)
TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
STALE = quality.pack(quality.UNCERTAIN, quality.STALE)
QUALITIES = st.sampled_from([0, 0, 0, TIMEOUT, STALE])
OUT = quality.pack(quality.BAD, quality.OUT_OF_RANGE)


@given(MANTISSAS, MANTISSAS, MANTISSAS, QUALITIES)
def test_range(low, high, mantissa, quality_byte):
    got = filters.build(["range", low, high]).apply(mantissa, quality_byte)
    if quality_byte == TIMEOUT or low <= mantissa <= high:
        assert got == (mantissa, quality_byte)
    else:
        assert got == (mantissa, OUT)


def test_both_ends_of_the_range_belong_to_it():
    step = filters.build(["range", -5, 5])
    assert [step.apply(x, 0)[1] for x in (-6, -5, 5, 6)] == [OUT, 0, 0, OUT]


@given(st.sampled_from(range(1, 16, 2)), st.lists(st.tuples(MANTISSAS, QUALITIES), max_size=40))
def test_median(size, readings):
    step = filters.build(["median", size])
    good = []
    for mantissa, quality_byte in readings:
        if quality_byte:
            wanted = mantissa
        else:
            good.append(mantissa)
            wanted = statistics.median_low(good[-size:])
        assert step.apply(mantissa, quality_byte) == (wanted, quality_byte)


@pytest.mark.parametrize("spec", [["median", 0], ["median", 4], ["median", 17], ["median", -1], ["mean", 3]])
def test_unknown_or_unbounded_filters_are_refused(spec):
    with pytest.raises(SettingError):
        filters.build(spec)
