"""The integer building blocks: sines, rounding, wandering."""

from fractions import Fraction
from itertools import pairwise
from math import sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satama_sim.world import units
from satama_sim.world.exact import round_half_even, round_ratio
from satama_sim.world.signals import PPB, Ripple, Wander, arcsine, cosine, sine, source


@pytest.mark.parametrize(
    ("tenths", "expected"), [(0, 0), (300, PPB // 2), (900, PPB), (1800, 0), (2700, -PPB), (-300, -PPB // 2)]
)
def test_sine_of_round_angles(tenths, expected):
    assert sine(tenths) == expected


@given(st.integers(-10_000, 10_000))
def test_sine_agrees_with_libm_and_pythagoras(tenths):
    assert abs(sine(tenths) - sin(tenths * 3.141592653589793 / 1800) * PPB) < 2
    assert abs(sine(tenths) ** 2 + cosine(tenths) ** 2 - PPB**2) < 4 * PPB


@given(st.integers(-900, 900))
def test_arcsine_is_the_inverse(tenths):
    near_the_top = 1 if abs(tenths) < 890 else 100
    assert abs(arcsine(sine(tenths)) - 100 * tenths) <= near_the_top


@given(st.fractions())
def test_rounding_is_half_even(value):
    assert round_half_even(value) == round(value)
    assert round_ratio(7 * value.numerator, 7 * value.denominator) == round(value)


def test_sources_differ_by_seed_and_name_only():
    first = source(7, "a", 1).getrandbits(64)
    assert source(7, "a", 1).getrandbits(64) == first
    assert first not in (
        source(8, "a", 1).getrandbits(64),
        source(7, "b", 1).getrandbits(64),
        source(7, "a", 2).getrandbits(64),
    )


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=20))
def test_wander_depends_on_the_second_only(steps):
    walked, fresh = Wander(7, "w", -50, 50, 60), [Wander(7, "w", -50, 50, 60).at(step) for step in steps]
    assert [walked.at(step) for step in steps] == fresh
    assert all(-50 <= value <= 50 for value in fresh)


def test_wander_has_no_jumps():
    wander = Wander(3, "w", 0, 6_000, 60)
    values = [wander.at(step) for step in range(600)]
    assert max(abs(b - a) for a, b in pairwise(values)) <= 101
    assert len(set(values)) > 100


def test_wander_refuses_nonsense():
    with pytest.raises(ValueError, match="low <= high"):
        Wander(1, "w", 2, 1, 60)


def test_ripple_stays_within_a_permille_scale():
    ripple = Ripple(1, "r")
    assert {abs(ripple.at(step)) <= 1000 for step in range(5_000)} == {True}


@pytest.mark.parametrize(
    ("base", "unit", "expected"),
    [
        ("J", "kWh", 3_600_000),
        ("/", "/100", Fraction(1, 100)),
        ("m3/s", "m3/h", Fraction(1, 3600)),
        ("V", "A", None),
        ("x", "V", None),
    ],
)
def test_unit_factors(base, unit, expected):
    assert units.factor(base, unit) == expected
