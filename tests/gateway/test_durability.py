"""What a power cut may take, and what becomes of samples while the flash does not work."""

import pytest
from written_sites import device, rtu_site

METERS = 45
SECOND = 1_000_000


def slow_site(tmp_path):
    """A round that takes longer than the durability: 45 meters at 1200 baud, once a minute."""
    site = tmp_path / "slow.toml"
    more = 'points = ["voltage", "current", "active_power", "energy_import"]\n'
    meters = [device(f"flat-{unit}", "eastron-sdm120", unit, period_s=60, more=more) for unit in range(1, METERS + 1)]
    site.write_text(rtu_site(meters, baud=1200))
    return site


def test_a_sample_is_on_flash_ten_seconds_after_it_was_taken_even_when_its_round_takes_longer(cabinet, tmp_path):
    cab = cabinet(slow_site(tmp_path), seed=5)
    heard = []  # (when, unit) of every answer on the wire
    bus = cab.buses[0]
    bus.on_wire.append(lambda start_us, data: heard.append((start_us + len(data) * 9167, data[0], len(data))))
    cab.run("58s")  # the second round of the minute began at 60 s; the first one was at once
    cab.stop_broker()
    cab.run("27s")
    cut_us = cab.timeline.now_us
    cab.cut_power()
    answered = {}
    for at_us, unit, length in heard:
        if length > 8:
            answered.setdefault(unit, []).append(at_us)
    safe = {unit for unit, times in answered.items() if any(60 * SECOND < at < cut_us - 10 * SECOND for at in times)}
    assert 5 < len(safe) < METERS, "the round must be under way"
    cab.run("3s")
    cab.restore_power()
    cab.start_broker()
    cab.run("50s")
    slot = cab.start_unix_s + 60
    seen = {
        view.name.split("/")[0]
        for view in cab.broker.streams.values()
        for sample in view.samples
        if sample.time == slot and sample.value is not None
    }
    assert {f"flat-{unit}" for unit in safe} <= seen
    started = [event for event in cab.broker.events if event["event"] == "started"]
    lost = len([unit for unit in answered if f"flat-{unit}" not in seen]) * 4
    assert lost <= started[-1]["lost_max"] == METERS * 4
    assert cab.broker.diag["ledger"]["balanced"]


def test_a_planned_restart_loses_nothing_and_says_so(cabinet, demo_site):
    cab = cabinet(demo_site, seed=5)
    cab.run("2m")
    before = cab.ledger()
    cab.type("restart")
    cab.run("1m")
    started = [event for event in cab.broker.events if event["event"] == "started"]
    assert [event["lost_max"] for event in started] == [before_streams(cab), 0]
    after = cab.ledger()
    assert after["balanced"] and after["produced"] > before["produced"] and after["acknowledged"] == cab.broker.decoded


def before_streams(cab):
    return len(cab.compiled.streams)


def test_the_ledger_goes_on_over_power_cuts(cabinet, demo_site):
    cab = cabinet(demo_site, seed=5)
    for _ in range(3):
        cab.run("2m")
        cab.cut_power()
        cab.run("5s")
        cab.restore_power()
    cab.run("90s")
    ledger = cab.ledger()
    assert ledger["balanced"] and ledger["dropped"] == ledger["quarantined"] == 0
    # what was written and sent in the moment of a cut may be counted when it is sent again
    assert 0 <= ledger["acknowledged"] - cab.broker.decoded <= 3 * len(cab.compiled.streams)
    arrived = {view.name: view.count for view in cab.broker.streams.values()}
    for name, produced, acknowledged, queued, _, _ in ledger["streams"]:
        if not name.startswith("("):
            assert produced == acknowledged + queued and acknowledged <= arrived[name] + 3


@pytest.mark.parametrize("refuses", [True, False])
def test_a_flash_that_fails_degrades_to_ram_with_an_alarm_and_recovers(cabinet, demo_site, refuses):
    cab = cabinet(demo_site, seed=5)
    cab.run("2m")
    part = cab.compiled.board.partitions["journal"]
    cab.flash.refuses, cab.flash.failing = refuses, range(part.offset, part.offset + part.size)
    cab.run("2m")
    assert cab.broker.diag["degraded"] and [e["event"] for e in cab.broker.events].count("flash_failed") == 1
    arrived = cab.broker.decoded
    cab.run("1m")
    assert cab.broker.decoded > arrived  # what is fresh goes out of RAM
    cab.stop_broker()
    cab.run("1m")
    cab.flash.failing = range(0)
    cab.run("2m")
    cab.start_broker()
    cab.run("4m")
    ledger = cab.ledger()
    assert not cab.broker.diag["degraded"] and [e["event"] for e in cab.broker.events].count("flash_recovered") == 1
    assert ledger["balanced"] and ledger["dropped"] == 0 and ledger["queued"] < 100
    assert cab.broker.decoded == ledger["acknowledged"]
    assert len(cab.board.resets) == 1
