"""Time and chance: one seed, one world, however it is asked."""

import hashlib
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satama.profiles.library import list_profiles, load_profile
from satama_sim.world import World, build_world

SECOND = 1_000_000
JUNE = 1_750_000_000  # 15 June 2025, 17:06 street time
DEMO = {
    "bin-1": "dfrobot-urm14",
    "bed-1": "dfrobot-sen0193",
    "valve": "waveshare-relay8",
    "bed-flow": "yf-s201",
    "main-meter": "eastron-sdm630",
    "flat": "eastron-sdm120",
    "heat": "diehl-sharky775",
    "water": "pulse-water",
}


def compiled(devices=DEMO):
    rows = [SimpleNamespace(id=i, profile=p, bus="rs485", unit=n) for n, (i, p) in enumerate(devices.items(), 1)]
    return SimpleNamespace(
        site=SimpleNamespace(devices=rows), profiles={i: load_profile(p) for i, p in devices.items()}
    )


SITE = compiled()


def snapshot(world: World) -> list:
    values = [(d, p.name, world.truth(d, p.name)) for d in world.device_ids for p in world.device(d).points]
    pulses = [world.device(d).pulse_count(world.step * SECOND) for d in ("water", "bed-flow")]
    return [*values, *pulses, world.device("bed-1").microvolts()]


def test_same_seed_same_world():
    first, second, other = (build_world(SITE, seed, JUNE) for seed in (7, 7, 8))
    for world in (first, second, other):
        world.advance(20_000 * SECOND)
    assert snapshot(first) == snapshot(second)
    assert snapshot(first) != snapshot(other)


@settings(max_examples=8)
@given(st.lists(st.integers(1, 50_000 * SECOND), max_size=25))
def test_split_of_time_is_irrelevant(moments):
    walked, leapt = build_world(SITE, 7, JUNE), build_world(SITE, 7, JUNE)
    end = 50_400 * SECOND  # the morning, with watering and the crew
    for number, moment in enumerate(sorted(moments)):
        walked.advance(moment)
        device = walked.device_ids[number % len(walked.device_ids)]
        walked.device(device).value(walked.device(device).points[0].name)
        walked.device("bed-flow").pulse_times(moment, moment + 7_000 * SECOND)
    for world in (walked, leapt):
        world.advance(end)
    assert snapshot(walked) == snapshot(leapt)


def test_values_change_on_full_seconds_only():
    world = build_world(SITE, 7, JUNE)
    world.advance(100 * SECOND)
    before, version = snapshot(world), world.version
    world.advance(101 * SECOND - 1)
    assert (snapshot(world), world.version) == (before, version)
    world.advance(101 * SECOND)
    assert snapshot(world) != before
    assert world.version != version


def test_time_does_not_run_back():
    world = build_world(SITE, 7, JUNE)
    world.advance(100 * SECOND)
    before = snapshot(world)
    world.advance(5 * SECOND)
    assert world.step == 100
    assert snapshot(world) == before


def test_hash_seed_is_irrelevant():
    here = build_world(SITE, 7, JUNE)
    here.advance(9_000 * SECOND)
    expected = hashlib.sha256(repr(snapshot(here)).encode()).hexdigest()
    code = (
        f"import hashlib, sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_world_time as t;"
        "w = t.build_world(t.SITE, 7, t.JUNE); w.advance(9_000 * t.SECOND);"
        "print(hashlib.sha256(repr(t.snapshot(w)).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    there = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == expected


def test_weather_knows_hour_and_season():
    summer, winter = World(7, JUNE), World(7, 1_737_000_000)  # the second: 16 January 2025
    noon = (12 - 17) % 24 * 3600
    assert summer.weather.hour(0) == 17
    assert summer.weather.hour(noon) == 12
    days = range(20)

    def mean(world, what, second):
        return sum(getattr(world.weather.at(day * 86_400 + second), what) for day in days) / len(days)

    assert mean(summer, "temperature", 0) > 10_000 > 3_000 > mean(winter, "temperature", 0)
    assert mean(summer, "sun", noon) > 300_000
    assert mean(summer, "sun", noon + 12 * 3600) == 0
    assert mean(winter, "sun", noon) < 150_000


def test_set_hold_release():
    world = build_world(SITE, 7, JUNE)
    world.set("main-meter", "voltage_l1", Decimal("229.5"))
    world.set("bin-1", "distance", None)
    world.hold("main-meter", ["voltage_l2", "energy_import"])
    held = world.truth("main-meter", "energy_import")
    world.advance(5_000 * SECOND)
    assert world.truth("main-meter", "voltage_l1") == Fraction(459, 2)
    assert world.truth("bin-1", "distance") is None
    assert world.truth("main-meter", "energy_import") == held
    version = world.version
    world.release("main-meter", "energy_import")
    assert world.version != version
    assert world.truth("main-meter", "energy_import") > held


def test_unknown_names_are_refused_with_the_choices():
    world = build_world(SITE, 7, JUNE)
    with pytest.raises(KeyError, match="main-meter"):
        world.truth("nobody", "voltage_l1")
    with pytest.raises(KeyError, match="voltage_l1"):
        world.truth("main-meter", "voltage")
    with pytest.raises(TypeError, match="not exact"):
        world.set("main-meter", "voltage_l1", 0.1)
    with pytest.raises(KeyError, match="nobody"):
        build_world(SITE, 7, JUNE, {"nobody": {}})
    with pytest.raises(ValueError, match="does not know an option"):
        build_world(SITE, 7, JUNE, {"heat": {"colour": 1}})
    with pytest.raises(ValueError, match="no start value"):
        build_world(SITE, 7, JUNE, {"main-meter": {"initial": {"voltage_l1": 1}}})


@pytest.mark.parametrize("name", list_profiles())
def test_every_device_type_has_a_world(name):
    site = compiled({"it": name})
    world = build_world(site, 7, JUNE)
    model = world.device("it")
    for step in (0, 10, 4_000, 40_000):
        world.advance(step * SECOND)
        for point in model.points:
            value = model.value(point.name)
            assert value is None or isinstance(value, Fraction)
            if value is not None and point.range:
                assert point.range[0] <= value <= point.range[1], (point.name, float(value))
