"""Filters in the whole gateway on the real MicroPython VM: what arrives is what their definitions make of what the device showed."""

from fractions import Fraction

import pytest
from exact_values import mantissa
from written_sites import device, rtu_site

POINTS = """
points = []

[device.point.voltage]
filters = [{ kind = "deadband", delta = 1, heartbeat_s = 60 }]

[device.point.frequency]
filters = [{ kind = "throttle", every_s = 30 }]

[device.point.current]
filters = [{ kind = "hold", for_s = 20 }]

[device.point.active_power]
filters = [{ kind = "mean", size = 3 }, { kind = "clamp", low = 0, high = 300 }]
"""
PERIOD_S = 5


@pytest.fixture
def meter(cabinet, tmp_path):
    site = tmp_path / "filters.toml"
    site.write_text(rtu_site([device("flat", "eastron-sdm120", 1, PERIOD_S, more=POINTS)]))
    cab = cabinet(site, seed=12)
    cab.buses[0].slaves.record_truth = True
    return cab


def shown(cab, point):
    """[(slot in seconds of the world, mantissa)] of every reading, the boot round's left out."""
    exponent = next(stream.exponent for stream in cab.compiled.streams if stream.name == f"flat/{point}")
    log = [(at_us, value) for _, name, at_us, value in cab.buses[0].slaves.truth_log if name == point]
    return [(at_us // 1_000_000 // PERIOD_S * PERIOD_S, mantissa(value, exponent)) for at_us, value in log][1:]


def arrived(cab, point):
    """[(slot, mantissa or None, reason)], the boot round's left out."""
    stream = next(stream for stream in cab.compiled.streams if stream.name == f"flat/{point}")
    rows = []
    for sample in cab.broker.stream(stream.name).samples[1:]:
        value = None if sample.value is None else Fraction(sample.value) / Fraction(10) ** stream.exponent
        rows.append((sample.time - cab.start_unix_s, value, sample.reason))
    return rows


def test_report_by_exception_leaves_out_nothing_that_matters(meter):
    meter.run("20m")
    reports = {slot: value for slot, value, _ in arrived(meter, "voltage")}
    readings = shown(meter, "voltage")
    assert len(reports) < len(readings) / 2
    last = None
    for slot, value in readings[:-4]:  # the last ones are still on their way
        due = last is None or abs(value - last[1]) >= 10 or slot - last[0] >= 60
        if last is not None or slot in reports:
            assert (slot in reports) == due or last is None, slot
        if slot in reports:
            assert reports[slot] == value
            last = slot, value


def test_a_throttled_point_comes_at_most_that_often(meter):
    meter.run("10m")
    slots = [slot for slot, _, _ in arrived(meter, "frequency")]
    assert 18 <= len(slots) <= 21
    assert all(after - before == 30 for before, after in zip(slots[1:], slots[2:], strict=False))


def test_the_last_good_value_is_held_for_a_while_and_said_to_be(meter):
    meter.run("1m")
    meter.buses[0].slaves.silence("flat")
    meter.run("1m")
    rows = [row for row in arrived(meter, "current") if row[0] >= 60]
    good = next(value for slot, value, _ in arrived(meter, "current") if slot == 55)
    held = [row for row in rows if row[1] is not None]
    assert [reason for _, _, reason in held] == ["substituted"] * len(held) and 2 <= len(held) <= 4
    assert {value for _, value, _ in held} == {good}
    assert {reason for _, value, reason in rows if value is None} == {"timeout"}


def test_a_chain_works_in_its_order(meter):
    meter.run("5m")
    readings = dict(shown(meter, "active_power"))
    checked = 0
    for slot, value, reason in arrived(meter, "active_power"):
        three = [readings.get(slot - back * PERIOD_S) for back in (0, 1, 2)]
        if None in three:
            continue
        mean = mantissa(Fraction(sum(three), 3), 0)
        assert (value, reason) == (min(3000, max(0, mean)), "")
        checked += 1
    assert checked > 40
