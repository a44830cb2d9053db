"""Counters through the whole gateway: a total that never falls, whatever the meter, the cable and the power do."""

from decimal import Decimal

import pytest
from written_sites import device, rtu_site

POINTS = """
points = []

[device.point.energy_import]
window = { period_s = 60, outputs = ["last", "delta"] }
"""


@pytest.fixture
def cab(cabinet, tmp_path):
    site = tmp_path / "counters.toml"
    site.write_text(rtu_site([device("meter", "eastron-sdm120", 1, 10, more=POINTS)]))
    made = cabinet(site, seed=5)
    made.world.set("meter", "energy_import", "1234.50")
    made.run("3m")
    return made


def samples(cab, output):
    return cab.broker.stream(f"meter/energy_import/{output}").samples


def total(cab):
    return next(s.value for s in reversed(samples(cab, "last")) if s.value is not None)


def events(cab, name):
    return [event for event in cab.broker.events if event["event"] == name]


def grow(cab, minutes, start, step="0.05"):
    """The meter counts on; what it shows in the end, in hundredths."""
    shown = round(100 * float(start))
    for _ in range(minutes):
        shown += round(100 * float(step))
        cab.world.set("meter", "energy_import", f"{shown // 100}.{shown % 100:02}")
        cab.run("1m")
    cab.run("70s")  # the window is over, and its pack sent
    return f"{shown // 100}.{shown % 100:02}"


def test_one_mad_reading_costs_nothing_and_is_said(cab):
    shown = grow(cab, 3, "1234.50")
    cab.world.set("meter", "energy_import", "0")
    cab.run("10s")
    cab.world.set("meter", "energy_import", shown)
    shown = grow(cab, 3, shown)
    assert total(cab) == Decimal(shown)
    assert "quarantined" in {row["reason"] for row in cab.request("points")["points"] if "reason" in row} or any(
        s.reason == "partial" for s in samples(cab, "last")
    )
    assert all(s.value is None or s.value >= 0 for s in samples(cab, "delta"))
    assert not events(cab, "counter_reset") and not events(cab, "counter_quarantine")


def test_an_exchange_that_is_declared_at_the_door(cab):
    shown = grow(cab, 3, "1234.50")
    before = total(cab)
    assert "refused" in cab.type("exchange meter/energy_import 1000 3.10 A B")
    assert "not a number" in cab.type("exchange meter/energy_import wet 3.10")
    assert "no such point" in cab.type("exchange meter/voltage_of_the_moon 1 2")
    assert "no such request" in cab.type("exchange meter/energy_import 1")
    assert "kept" in cab.type("exchange meter/energy_import 1234.70 3.10 SN-OLD SN-NEW")
    cab.world.set("meter", "energy_import", "3.12")
    cab.run("3m")
    assert before == Decimal(shown) and total(cab) - before == Decimal("1234.70") - before + Decimal("0.02")
    (event,) = events(cab, "counter_exchange")
    assert event["old_end"] == "1234.70" and event["new_start"] == "3.10"
    assert (event["old_serial"], event["new_serial"]) == ("SN-OLD", "SN-NEW") and event["utc"] > cab.start_unix_s
    assert event["point"] == "meter/energy_import" and event["sq"] > 0
    assert any(s.reason in ("exchanged", "partial") for s in samples(cab, "delta"))
    assert not events(cab, "counter_quarantine")
    cab.cut_power()
    cab.restore_power()
    cab.run("3m")
    assert total(cab) == Decimal("1234.72")
    assert len(events(cab, "counter_exchange")) == 1


def test_an_exchange_that_nobody_declared_raises_one_quarantine_and_can_be_put_right_later(cab):
    grow(cab, 3, "1234.50")
    before = total(cab)
    cab.world.set("meter", "energy_import", "777.00")
    cab.run("3m")
    shown = grow(cab, 3, "777.00")
    (event,) = events(cab, "counter_quarantine")
    assert (event["old"], event["new"]) == ("1234.65", "777.00")
    assert total(cab) - before == Decimal(shown) - 777
    assert cab.request("exchange", of="meter/energy_import", value="1234.68 776.99 A B")["result"] == "kept"
    cab.run("2m")
    assert total(cab) - before == Decimal(shown) - Decimal("776.99") + Decimal("0.03")
    assert len(events(cab, "counter_quarantine")) == 1


def test_a_meter_that_begins_at_zero_again(cab):
    grow(cab, 3, "1234.50")
    before = total(cab)
    cab.world.set("meter", "energy_import", "0.02")
    cab.run("3m")
    assert total(cab) - before == Decimal("0.02")
    (event,) = events(cab, "counter_reset")
    assert event["old"] == "1234.65" and event["new"] == "0.02"
    assert any(s.reason in ("reset", "partial") for s in samples(cab, "last"))


def test_the_total_goes_on_after_a_power_cut_in_which_the_meter_counted(cab):
    grow(cab, 3, "1234.50")
    before = total(cab)
    cab.cut_power()
    cab.world.set("meter", "energy_import", "1234.95")
    cab.restore_power()
    cab.run("3m")
    assert total(cab) - before == Decimal("0.30")
