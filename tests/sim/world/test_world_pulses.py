"""Pulses: exact moments, and as many as the volume says."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satama.profiles.library import load_profile
from satama_sim.world import build_world
from satama_sim.world.model import Fine
from satama_sim.world.pulses import PulseModel, Segment
from satama_sim.world.scene import Scene
from satama_sim.world.weather import Weather

SECOND = 1_000_000
JUNE = 1_750_000_000
HOURS = 20


def site(**devices):
    rows = [SimpleNamespace(id=i, profile=p, bus=None, unit=None) for i, p in devices.items()]
    return SimpleNamespace(
        site=SimpleNamespace(devices=rows), profiles={i: load_profile(p) for i, p in devices.items()}
    )


SITE = site(bed="dfrobot-sen0193", flow="yf-s201", water="pulse-water")


def world(**overrides):
    return build_world(SITE, 7, JUNE, overrides)


class Steady(PulseModel):
    fine: ClassVar = {"volume": Fine("m3", 10**9)}

    def segments(self, to_step):
        return [Segment(2, 5, 1_000, 0), Segment(5, 6, 3, 3_000), Segment(8, 9, 250_000, 3_003)]


def steady(per_pulse):
    point = SimpleNamespace(
        name="v", quantity="volume", unit="ml", kind="counter", type=None, range=None, per_pulse=Fraction(per_pulse)
    )
    return Steady(Scene(7, Weather(7, JUNE)), "it", [point])


def test_moments_by_hand():
    meter = steady("0.4")  # 400 microlitres
    assert meter.pulse_times(0, 5 * SECOND) == [
        2_400_000,
        2_800_000,
        3_200_000,
        3_600_000,
        4_000_000,
        4_400_000,
        4_800_000,
    ]
    assert meter.pulse_times(2_400_000, 2_800_000) == [2_800_000]
    assert meter.pulse_count(2_399_999) == 0
    assert meter.pulse_count(2_400_000) == 1
    assert meter.pulse_times(5 * SECOND, 8 * SECOND) == []
    assert meter.pulse_times(5 * SECOND, 8_001_000) == [8_000_788]  # 197 of 250,000 microlitres a second


def test_a_pulse_at_the_seam_of_two_flows_comes_once():
    assert steady(3).pulse_times(0, 6 * SECOND) == [5_000_000]
    assert steady("1/3").pulse_times(0, 3 * SECOND) == [2_333_334, 2_666_667, 3_000_000]


@given(st.lists(st.integers(0, 9 * SECOND), max_size=12), st.sampled_from(["0.4", "2/3", "0.07", 3, "0.1"]))
@settings(deadline=None)
def test_split_of_the_interval_is_irrelevant(cuts, per_pulse):
    meter = steady(per_pulse)
    edges = [0, *sorted(cuts), 9 * SECOND]
    parts = [t for a, b in pairwise(edges) for t in meter.pulse_times(a, b)]
    assert parts == meter.pulse_times(0, 9 * SECOND)
    assert all(a < b for a, b in pairwise(parts))
    for edge in edges:
        assert meter.pulse_count(edge) == sum(t <= edge for t in parts)


@pytest.mark.parametrize("per_pulse", [10, 1, Decimal("0.25")])
def test_water_pulses_make_up_the_volume(per_pulse):
    here = world(water={"per_pulse": per_pulse})
    meter, end = here.device("water"), HOURS * 3600
    here.advance(end * SECOND)
    times = meter.pulse_times(0, end * SECOND)
    volume = Fraction(sum(s.rate * (min(s.end, end) - s.start) for s in meter.segments(end) if s.start < end), 10**6)
    assert len(times) == volume // Fraction(per_pulse)
    assert meter.value("volume") == len(times) * Fraction(per_pulse)
    assert all(a < b for a, b in pairwise(times))
    assert volume > 1_000


def test_flow_meter_counts_what_the_valve_lets_through():
    here = world()
    here.advance(HOURS * 3600 * SECOND)
    bed, meter = here.scene.beds["bed"], here.device("flow")
    times = meter.pulse_times(0, here.step * SECOND)
    assert len(times) == Fraction(bed.volume, 10**6) * 450 // 1 > 1_000
    assert meter.value("volume") == Fraction(len(times), 450)
    flowing = [range(s.start, s.end + 1) for s in bed.segments(here.step)]
    assert all(any(t // SECOND in span for span in flowing) for t in times)


def test_looking_ahead_decides_nothing():
    here, plain = world(), world()
    for each in (here, plain):
        each.advance(3_600 * SECOND)
    foretold = here.device("flow").pulse_times(0, HOURS * 3600 * SECOND)
    assert here.scene.beds["bed"].step <= 3_600
    here.advance(HOURS * 3600 * SECOND)
    plain.advance(HOURS * 3600 * SECOND)
    assert here.device("flow").pulse_times(0, HOURS * 3600 * SECOND) == foretold
    assert plain.device("flow").pulse_times(0, HOURS * 3600 * SECOND) == foretold


def test_any_other_pulse_output_ticks_on():
    point = SimpleNamespace(
        name="energy", quantity="active_energy_import", unit="kWh", kind="counter", type=None, range=None,
        per_pulse=Fraction(1, 1000),
    )  # fmt: skip
    profile = SimpleNamespace(interface="pulse", kind="electricity_meter", points=[point])
    device = SimpleNamespace(id="s0", profile="s0", bus=None, unit=None)
    here = build_world(SimpleNamespace(site=SimpleNamespace(devices=[device]), profiles={"s0": profile}), 7, JUNE)
    here.advance(7_200 * SECOND)
    count = len(here.device("s0").pulse_times(0, 7_200 * SECOND))
    assert 300 < count < 1_200
    assert here.truth("s0", "energy") == Fraction(count, 1000)
