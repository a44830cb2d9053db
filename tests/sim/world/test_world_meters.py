"""Electricity and heat: counters are the exact integral of what the meter shows."""

from fractions import Fraction
from types import SimpleNamespace

import pytest

from satama.profiles.library import load_profile
from satama_sim.world import build_world

SECOND = 1_000_000
JUNE_NOON = 1_749_981_600  # 15 June 2025, 12:00 street time
JANUARY = 1_737_000_000
KWH, SECONDS = 3_600_000, 1_300


def world_of(profile, start=JUNE_NOON, **options):
    device = SimpleNamespace(id="it", profile=profile, bus="rs485", unit=1)
    site = SimpleNamespace(site=SimpleNamespace(devices=[device]), profiles={"it": load_profile(profile)})
    world = build_world(site, 7, start, {"it": options})
    return world, world.device("it")


def walk(world, seconds=SECONDS):
    """Every second but the last: what is shown in a second is what is counted over it."""
    for step in range(seconds):
        world.advance(step * SECOND)
        yield step
    world.advance(seconds * SECOND)


@pytest.mark.parametrize(
    ("profile", "suffixes"), [("eastron-sdm630", ("", "_l1", "_l2", "_l3")), ("eastron-sdm120", ("",))]
)
def test_energy_is_the_integral_of_power(profile, suffixes):
    world, meter = world_of(profile)
    names = [f"energy_{way}{suffix}" for suffix in suffixes for way in ("import", "export")]
    before = {name: meter.value(name) for name in names}
    reactive_before = [meter.value(f"reactive_energy_{way}") for way in ("import", "export")]
    taken, given, reactive = dict.fromkeys(suffixes, 0), dict.fromkeys(suffixes, 0), 0
    for _ in walk(world):
        for suffix in suffixes:
            power = meter.value(f"active_power{suffix}")
            if power > 0:
                taken[suffix] += power
            else:
                given[suffix] -= power
        reactive += meter.value("reactive_power")
    for suffix in suffixes:
        assert meter.value(f"energy_import{suffix}") - before[f"energy_import{suffix}"] == taken[suffix] / KWH
        assert meter.value(f"energy_export{suffix}") - before[f"energy_export{suffix}"] == Fraction(given[suffix]) / KWH
    now = [meter.value(f"reactive_energy_{way}") for way in ("import", "export")]
    assert (now[0] - reactive_before[0]) - (now[1] - reactive_before[1]) == reactive / KWH
    assert meter.value("energy_total") == meter.value("energy_import") + meter.value("energy_export")


def test_sun_on_the_roof_exports_at_noon_and_not_at_night():
    world, meter = world_of("eastron-sdm630", pv_peak_w=40_000)
    start = meter.value("energy_export")
    world.advance(1_800 * SECOND)
    assert meter.value("active_power") < 0
    assert meter.value("power_factor_l1") < 0
    noon = meter.value("energy_export") - start
    world.advance(12 * 3600 * SECOND)
    midnight = meter.value("energy_export")
    world.advance(13 * 3600 * SECOND)
    assert noon > 1
    assert meter.value("energy_export") == midnight
    assert meter.value("active_power") > 0


def test_phases_agree_with_their_totals():
    world, meter = world_of("eastron-sdm630")
    for step in (0, 777, 9_999):
        world.advance(step * SECOND)
        show = meter.value
        assert sum(show(f"active_power_l{n}") for n in (1, 2, 3)) == show("active_power")
        for n in (1, 2, 3):
            apparent, volts, amps = (show(f"{q}_l{n}") for q in ("apparent_power", "voltage", "current"))
            assert abs(volts * amps - apparent) < Fraction(1, 1000)
            square = show(f"active_power_l{n}") ** 2 + show(f"reactive_power_l{n}") ** 2
            assert abs(square - apparent**2) < 1
            assert 207 < volts < 253
        assert 49 < show("frequency") < 51


def test_demand_is_the_mean_of_the_last_quarter_of_an_hour():
    world, meter = world_of("eastron-sdm630")
    powers = []
    for _ in walk(world, 1_800):
        powers.append(meter.value("active_power"))
    assert abs(meter.value("power_demand") - sum(powers[900:]) / 900) < Fraction(1, 1000)
    assert meter.value("power_demand_max") >= meter.value("power_demand")


@pytest.mark.parametrize("start", [2**24 + Fraction(1, 100), 2**32 + Fraction(1, 100), 0])
def test_start_value_of_a_counter(start):
    world, meter = world_of("eastron-sdm630", initial={"energy_import": start, "energy_import_l2": 17})
    assert meter.value("energy_import") == start
    assert meter.value("energy_import_l2") == 17
    world.advance(3_600 * SECOND)
    assert start < meter.value("energy_import") < start + 100


def test_flat_uses_less_at_night_and_never_exports():
    world, meter = world_of("eastron-sdm120", start=JANUARY)
    hours = []
    for hour in range(1, 73):
        before = meter.value("energy_import")
        world.advance(hour * 3600 * SECOND)
        hours.append((world.weather.hour(world.step - 1), meter.value("energy_import") - before))
    night = [used for hour, used in hours if 1 <= hour < 5]
    evening = [used for hour, used in hours if 17 <= hour < 21]
    assert max(night) < max(evening)
    assert sum(night) < sum(evening)
    assert meter.value("energy_export") == 0


def test_heat_counters_are_the_sums_of_power_and_flow():
    world, meter = world_of("diehl-sharky775", start=JANUARY, initial={"energy": 2**24, "volume": "12345.678"})
    energy = volume = 0
    for _ in walk(world):
        energy += meter.value("power")
        volume += meter.value("flow")
        assert meter.value("t_flow") - meter.value("t_return") == meter.value("t_diff")
    assert meter.value("energy") == 2**24 + energy / 3_600
    assert meter.value("volume") == Fraction("12345.678") + volume / 3_600


def test_a_second_point_of_a_quantity_goes_its_own_way():
    _, meter = world_of("diehl-sharky775")
    assert meter.value("pulse_in1") != meter.value("volume")
    assert meter.value("pulse_in1") != meter.value("pulse_in2")


def test_cold_needs_more_heat():
    winter, summer = world_of("diehl-sharky775", start=JANUARY), world_of("diehl-sharky775")
    used = []
    for world, meter in (winter, summer):
        before = meter.value("energy")
        world.advance(86_400 * SECOND)
        used.append(meter.value("energy") - before)
    assert used[0] > 2 * used[1]
