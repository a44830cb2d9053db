"""Counters on their way to the device: their highest rates, their steps, where they roll over, and what is said of them."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from gateway.process import filters as on_device
from satama.core.quantities import QUANTITIES
from satama.core.scale import LARGEST, Scale
from satama.profiles.counters import check_counter, continuous, fastest
from satama.profiles.library import list_profiles, load_profile
from satama.profiles.profile import Point
from satama.site_file.filters import RateFilter, ScaleFilter, compile_chain, whole_chain

FULL = {"Wh": 1000, "varh": 1000, "VAh": 1000, "J": 3_600_000, "min": 60, "s": 3600}  # in a kWh, an hour


def point(**keys):
    usual = {"name": "it", "source": "it", "quantity": "active_energy_import", "unit": "kWh", "type": "u32"}
    return Point.model_validate({**usual, "address": 0, **keys})


def counter(**keys):
    made = point(**keys)
    return next(spec for spec in compile_chain(made, []) if spec[0] == "counter")


def test_every_quantity_that_counts_has_a_highest_rate_in_each_of_its_units():
    for name, quantity in QUANTITIES.items():
        assert (quantity.fastest is not None) == (quantity.kind == "counter"), name
        for unit in quantity.units if quantity.fastest else ():
            most, per_s = fastest(point(quantity=name, unit=unit))
            in_first = most * 1000 if unit == "m3" else most / FULL.get(unit, 1)
            assert (in_first, per_s) == tuple(map(Fraction, quantity.fastest))


@pytest.mark.parametrize(
    ("keys", "spec"),
    [
        ({}, ["counter", 0, 1000, 1, 3, 100, 0, 1]),  # 10 kWh a second at two digits, a number of whole kWh
        ({"scale": Decimal("0.01")}, ["counter", 0, 1000, 1, 3, 1, 0, 1]),
        ({"unit": "Wh", "exponent": 0, "type": "f32"}, ["counter", 0, 10_000, 1, 3, 1, 24, 1]),
        ({"unit": "Wh", "exponent": 0, "type": "f64"}, ["counter", 0, 10_000, 1, 3, 1, 53, 1]),
        ({"rollover": Decimal(10**6)}, ["counter", 10**8, 1000, 1, 3, 100, 0, 1]),
        ({"max_rate": Decimal("0.001")}, ["counter", 0, 1, 10, 3, 100, 0, 1]),
        ({"scale_register": 6}, ["counter", 0, 1000, 1, 3, 1, 0, 1]),
        ({"quantity": "heat_energy", "exponent": 0}, ["counter", 0, 25, 9, 3, 1, 0, 900]),
        ({"quantity": "volume", "unit": "m3", "exponent": -2, "type": "f32"}, ["counter", 0, 25, 1, 3, 1, 24, 60]),
        ({"quantity": "rainfall", "unit": "mm", "exponent": 0, "scale": Decimal("0.3")}, ["counter", 0, 2, 3, 3, 1, 0, 60]),
        ({"quantity": "volume", "unit": "l", "type": None, "address": None, "per_pulse": Decimal(10), "exponent": 0},
         ["counter", 0, 250, 1, 3, 10, 0, 60]),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_device_gets(keys, spec):
    assert counter(**keys) == spec
    on_device.build(spec)


def test_the_range_is_the_devices_and_comes_first():
    made = point(range=[0, 1000], max_rate=Decimal(1))
    assert [spec[0] for spec in compile_chain(made, [])] == ["range", "counter"]


def test_a_rate_of_the_site_is_that_of_the_counter():
    made = point(max_rate=Decimal(1))
    own = RateFilter(kind="rate", most=Decimal("0.5"), per_s=60, confirm=5)
    scale = ScaleFilter(kind="scale", factor=2)
    assert compile_chain(made, [own, scale]) == [["counter", 0, 5, 6, 5, 100, 0, 60], ["scale", 2, 1]]
    assert [origin for origin, _ in whole_chain(made, [own, scale])] == ["site", "site"]
    behind = compile_chain(made, [scale, own])  # in another unit by then: a filter like any other
    assert [spec[0] for spec in behind] == ["counter", "scale", "rate"]
    assert behind[0] == ["counter", 0, 100, 1, 3, 100, 0, 1]


def test_the_pulses_of_the_site_are_those_that_count():
    made = point(quantity="volume", unit="l", type=None, address=None, per_pulse=Decimal(1), exponent=0)
    assert compile_chain(made, [], Fraction(10)) == [["counter", 0, 250, 1, 3, 10, 0, 60]]


def test_gauges_keep_their_rate():
    gauge = point(quantity="voltage", unit="V", max_rate=Decimal(1))
    assert [spec[0] for spec in compile_chain(gauge, [])] == ["rate"]


def test_it_is_told_in_words():
    made = point(rollover=Decimal(10**6), max_rate=Decimal("0.01"))
    told = continuous(made).explain(Scale(-2, "kWh"))
    assert told.formula == "y = x + what was counted before; 0.01 kWh / s is the most that it counts"
    assert "from 1000000 kWh it goes on at 0" in told.words and "until 3 readings in a row confirm it" in told.words
    assert "goes on at 0" not in continuous(point()).explain(Scale(-2, "kWh")).words


@pytest.mark.parametrize(
    ("keys", "key", "what"),
    [
        ({"rollover": Decimal("999999.999")}, "rollover", "more digits than exponent = -2 publishes"),
        ({"rollover": Decimal("1e18")}, "rollover", "more than a value can hold"),
        ({"rollover": Decimal("0.01")}, "rollover", "leaves no reading but 0"),
        ({"max_rate": Decimal("0.12345678901234567891")}, "max_rate", "too many digits"),
    ],
    ids=str,
)
def test_what_a_profile_must_not_say(keys, key, what):
    ((where, told, hint),) = check_counter(point(**keys))
    assert where == key and what in told and hint


def test_every_counter_that_we_know_can_be_built():
    for name in list_profiles():
        for made in load_profile(name).points:
            if made.kind == "counter":
                assert list(check_counter(made)) == []
                spec = next(spec for spec in compile_chain(made, []) if spec[0] == "counter")
                assert all(0 <= number <= LARGEST for number in spec[1:])
                on_device.build(spec)


def test_the_technicians_page_names_the_highest_rates():
    page = " ".join((Path(__file__).parents[3] / "docs" / "technician.md").read_text().split())
    most = {name: QUANTITIES[name].fastest for name in ("active_energy", "heat_energy", "volume", "rainfall", "count")}
    assert [per_s for _, per_s in most.values()] == [1, 900, 60, 60, 1]
    electric, heat, water, rain, pulses = (amount for amount, _ in most.values())
    for told in (
        f"{electric} kWh/s (kvarh, kVAh) of electricity",
        f"{heat} kWh of heat in 15 min",
        f"{water / 1000:f} m³ of water in a minute",
        f"{rain} mm of rain in a minute",
        f"{pulses} pulses a second",
    ):
        assert told in page, told
