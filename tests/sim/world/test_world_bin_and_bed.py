"""The street bin is emptied in the morning; the bed dries, is watered, and shows it by voltage."""

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import pytest

from satama.profiles.library import load_profile
from satama_sim.world import build_world

SECOND, DAY = 1_000_000, 86_400
JUNE_MIDNIGHT = 1_749_938_400  # 15 June 2025, 00:00 street time
PERCENT = 10_000_000  # of the bed's moisture


def world_of(start=JUNE_MIDNIGHT, seed=7, overrides=None, **devices):
    rows = [SimpleNamespace(id=i, profile=p, bus="rs485", unit=n) for n, (i, p) in enumerate(devices.items(), 1)]
    site = SimpleNamespace(
        site=SimpleNamespace(devices=rows), profiles={i: load_profile(p) for i, p in devices.items()}
    )
    return build_world(site, seed, start, overrides)


def garden(**options):
    return world_of(bed="dfrobot-sen0193", valve="waveshare-relay8", flow="yf-s201", **options)


def test_bin_fills_by_day_and_is_emptied_in_the_morning():
    world = world_of(it="dfrobot-urm14")
    bin_ = world.device("it")
    emptied, levels = [], []
    for second in range(0, 5 * DAY, 20):
        world.advance(second * SECOND)
        bin_.catch_up()
        if levels and bin_.heap < levels[-1]:
            emptied.append(world.weather.second_of_day(world.step) / 3600)
        levels.append(bin_.heap)
    assert len(emptied) >= 2
    assert all(6 <= hour <= 8.1 for hour in emptied)
    assert max(levels) > 500_000
    fills_at_night = levels[5 * 3600 // 20] - levels[3600 // 20]
    fills_at_noon = levels[16 * 3600 // 20] - levels[10 * 3600 // 20]
    assert 0 <= fills_at_night < fills_at_noon


def test_an_open_lid_has_no_distance():
    world = world_of(it="dfrobot-urm14")
    bin_ = world.device("it")
    for step in range(0, 3 * DAY, 10):
        world.advance(step * SECOND)
        if bin_.value("distance") is None:
            break
    assert world.weather.hour(world.step) in (6, 7, 8)
    world.advance((world.step + 60) * SECOND)
    assert bin_.value("distance") > 1_100


def test_litter_of_the_last_second_of_an_hour_counts():
    bin_ = (world := world_of(it="dfrobot-urm14")).device("it")
    bin_._plan_hour = lambda hour: [(hour * 3600 + 3600, 5_000)]
    before = bin_.heap
    for step, growth in ((3_599, 0), (3_600, 5_000), (3_601, 5_000), (10_800, 15_000)):
        world.advance(step * SECOND)
        bin_.catch_up()
        assert bin_.heap == before + growth


def test_distance_and_heap_belong_together():
    world = world_of(it="dfrobot-urm14", overrides={"it": {"depth_mm": 1_400, "full_mm": 150}})
    bin_ = world.device("it")
    world.advance(40_000 * SECOND)
    bin_.catch_up()
    assert abs(bin_.value("distance") - (1_400 - Fraction(bin_.heap, 1_000))) <= Fraction(3, 2)
    with pytest.raises(ValueError, match="full_mm"):
        world_of(it="dfrobot-urm14", overrides={"it": {"depth_mm": 100}})


def test_soil_dries_in_the_sun_and_is_watered_in_the_morning():
    world = garden()
    bed = world.scene.beds["bed"]
    moisture = []
    for hour in range(24):
        world.advance(hour * 3600 * SECOND)
        bed.catch_up()
        moisture.append(bed.moisture)
    night, noon = moisture[1] - moisture[4], moisture[11] - moisture[14]
    assert 0 < night < noon
    assert moisture[6] > moisture[5] + 5 * PERCENT
    assert all(a > b for a, b in pairwise(moisture[6:]))


def test_a_bed_does_not_notice_being_looked_at():
    watched, left_alone = garden(), garden()
    for world in (watched, left_alone):
        world.scene.beds["bed"].moisture = 17 * PERCENT
    for step in range(60, 5_000, 7):
        watched.advance(step * SECOND)
        watched.scene.beds["bed"].catch_up()
    left_alone.advance(watched.step * SECOND)
    beds = [world.scene.beds["bed"] for world in (watched, left_alone)]
    beds[1].catch_up()
    assert (beds[0].moisture, beds[0].volume) == (beds[1].moisture, beds[1].volume)
    assert beds[0].segments(watched.step) == beds[1].segments(watched.step) != []


def test_very_dry_soil_is_watered_at_once_and_not_forever():
    world = garden()
    bed = world.scene.beds["bed"]
    bed.moisture = 17 * PERCENT
    opened = []
    for minute in range(60, 3600, 60):
        world.advance(minute * SECOND)
        opened.append(world.truth("valve", "relay_1"))
    assert opened[0] == 1
    assert opened[-1] == 0
    assert 27 * PERCENT < bed.moisture < 30 * PERCENT


def test_relay_takes_the_valve_over():
    world = garden()
    valve, flow = world.device("valve"), world.device("flow")
    world.advance(100 * SECOND + 500_000)
    assert valve.write("relay_1", Fraction(1))
    assert world.truth("valve", "relay_1") == 1
    assert flow.pulse_times(0, 101 * SECOND) == []
    world.advance(7 * 3600 * SECOND)  # through the time of the daily watering: nobody closes it
    assert flow.value("volume") > 700
    valve.write("relay_1", Fraction(0))
    world.advance((world.step + 1) * SECOND)
    closed = flow.value("volume")
    world.advance((world.step + DAY) * SECOND)
    assert flow.value("volume") == closed
    assert world.truth("valve", "relay_1") == 0
    assert world.scene.beds["bed"].moisture < 45 * PERCENT


def test_other_relays_just_keep_what_is_written():
    world = garden()
    assert world.truth("valve", "relay_5") == 0
    world.device("valve").write("relay_5", Fraction(1))
    assert world.truth("valve", "relay_5") == 1
    assert not world.scene.beds["bed"].by_hand


def test_probe_voltage_falls_as_the_soil_gets_wetter():
    world = garden()
    probe, bed = world.device("bed"), world.scene.beds["bed"]
    bed.moisture = 10 * PERCENT
    dry = probe.microvolts()
    bed.moisture = 40 * PERCENT
    wet = probe.microvolts()
    assert dry - wet == (2_540_000 - 1_270_000) * 30 // 100
    assert abs(dry - (2_540_000 - 127_000)) <= 1_500


def test_probe_value_is_the_calibration_of_its_microvolts():
    world = garden(overrides={"bed": {"calibration": [[2_400_001, 3], [1_100_000, 97]]}})
    probe = world.device("bed")
    for step in (0, 55, 20_000):
        world.advance(step * SECOND)
        volts = probe.microvolts()
        assert probe.value("moisture") == 3 + Fraction(volts - 2_400_001) * Fraction(94, 1_100_000 - 2_400_001)
        assert isinstance(volts, int)


def test_set_moisture_reaches_the_wire():
    world = garden()
    world.set("bed", "moisture", 50)
    assert world.device("bed").microvolts() == 1_905_000
    world.set("bed", "moisture", 300)
    assert world.device("bed").microvolts() == 0
    world.set("bed", "moisture", -100)
    assert world.device("bed").microvolts() == 3_300_000
    world.set("bed", "moisture", None)
    assert world.device("bed").microvolts() == 0


def test_beds_follow_the_order_of_the_site_or_the_options():
    devices = {
        "a": "dfrobot-sen0193",
        "b": "dfrobot-sen0193",
        "valve": "waveshare-relay8",
        "fa": "yf-s201",
        "fb": "yf-s201",
    }
    world = world_of(**devices)
    assert [bed.name for bed in world.device("valve").valves.values()] == ["a", "b"]
    assert world.device("fb").bed is world.device("b").bed
    world = world_of(**devices, overrides={"valve": {"valves": {"relay_3": "b"}}, "fa": {"bed": "b"}})
    assert world.device("valve").valves == {"relay_3": world.device("b").bed}
    assert world.device("fa").bed is world.device("b").bed


def test_devices_without_an_output_say_so():
    world = garden()
    with pytest.raises(TypeError, match="no analog output"):
        world.device("valve").microvolts()
    with pytest.raises(TypeError, match="no pulse output"):
        world.device("valve").pulse_times(0, 1)
