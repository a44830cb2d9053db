"""The whole gateway on the real MicroPython VM: what the devices show becomes correct samples at the broker."""

from fractions import Fraction
from pathlib import Path

import pytest
from exact_values import mantissa

COUNTERS = Path(__file__).with_name("big-counters-site.toml")


def test_every_stream_arrives_and_the_ledger_balances(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("185s")  # at a full ten seconds a pack is on its way
    report = cab.report()
    assert report["streams_missing"] == []
    assert report["streams"] == len(cab.compiled.streams) >= 20
    parts = ("acknowledged", "queued", "dropped", "quarantined")
    assert report["produced"] == sum(report[part] for part in parts) > 400
    assert report["decoded_at_broker"] == report["acknowledged"]
    assert (report["modbus_errors"], report["decode_errors"], report["missed_slots"], report["resets"]) == (0, 0, 0, 0)


def test_first_readings_go_out_at_once(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    unseen = {stream.name for stream in cab.compiled.streams if not stream.name.endswith("/delta")}
    cab.run_until(lambda: unseen <= {view.name for view in cab.broker.streams.values() if view.count}, within="14s")


@pytest.mark.parametrize("energy", [(1 << 24) + 1, (1 << 32) + 1, (1 << 53) + 1, 9_000_000_000_000_000_001])
def test_values_are_exact_beyond_float_precision(cabinet, energy):
    cab = cabinet(COUNTERS, seed=5, overrides={"meter": {"initial": {"energy": energy, "volume": "4294967297.123"}}})
    bus = cab.buses[0].slaves
    bus.record_truth = True
    cab.run("2m")
    arrived = 0
    for point, exponent in (("energy", 0), ("volume", -3), ("t_flow", -2), ("power", -1)):
        view = cab.broker.stream(f"meter/{point}")
        assert view.exponent == exponent
        for sample in view.samples:
            taken_us = (sample.time - cab.start_unix_s) * 1_000_000
            shown = [v for _, name, at_us, v in bus.truth_log if name == point and 0 <= at_us - taken_us < 2_000_000]
            assert len(shown) == 1
            assert Fraction(sample.value) == mantissa(shown[0], exponent) * Fraction(10) ** exponent
            arrived += 1
    assert arrived > 60
    assert cab.broker.stream("meter/energy").last.value >= energy


def test_a_bad_value_is_reported_with_its_reason_not_left_out(cabinet):
    cab = cabinet(COUNTERS, seed=5)
    cab.run("30s")
    cab.world.set("meter", "t_flow", None)
    cab.run("20s")
    sample = cab.broker.stream("meter/t_flow").last
    assert (sample.value, sample.reason) == (None, "invalid")
    cab.pull_cable("rs485")
    cab.run("20s")
    sample = cab.broker.stream("meter/energy").last
    assert (sample.value, sample.reason) == (None, "timeout")
    cab.plug_in("rs485")
    cab.run("20s")
    assert cab.broker.stream("meter/energy").last.reason == ""


def test_topics_state_births_will_and_diag(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("90s")
    retained = cab.simulated_broker.core.retained
    base = "district/v1/kalasatama/demo-01/"
    births = {topic for topic in retained if topic.startswith(base + "birth/")}
    assert births == {base + "birth/" + name for name, *_ in cab.compiled.body["devices"]}
    assert cab.broker.state["online"] is True
    kinds = {(row[5], row[6], row[7]) for row in cab.compiled.body["streams"]}
    assert len(set(cab.broker.state["schema"])) == len(kinds)
    assert all(len(bytes.fromhex(schema)) == 4 for schema in cab.broker.state["schema"])
    assert cab.broker.diag["ledger"]["balanced"] is True
    cab.cut_power()
    cab.run("2m")  # longer than 1.5 keepalives: the broker speaks the Will
    assert cab.broker.state["online"] is False


def test_samples_carry_honest_time(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    cab.run("1m")
    for view in cab.broker.streams.values():
        times = [sample.time for sample in view.samples]
        assert times == sorted(set(times))
        assert all(cab.start_unix_s <= time <= cab.start_unix_s + 60 for time in times)
        assert all(time % view.period_s == 0 for time in times[2:])
