"""The clock is set while the gateway works: order, intervals and honesty of the samples survive it."""

from itertools import pairwise
from pathlib import Path

import pytest
from exact_values import steady

from satama import RELEASED

COUNTERS = Path(__file__).with_name("big-counters-site.toml")
YEARS = 10 * 365 * 86_400


@pytest.fixture
def counters_site(tmp_path):
    """The site of one meter, read each 5 s, with as many time servers as a test wants."""

    def write(*servers, period_s=5, timeout_ms=500):
        profile = COUNTERS.with_name("big-counters.toml").read_text()
        (tmp_path / "big-counters.toml").write_text(profile.replace("timeout_ms = 500", f"timeout_ms = {timeout_ms}"))
        names = ", ".join(f'"{name}"' for name in servers)
        site = COUNTERS.read_text().replace('"ntp.test.example"', names)
        path = tmp_path / "site.toml"
        path.write_text(site.replace("period_s = 5", f"period_s = {period_s}"))
        return path

    return write


def events(cab, name):
    return [event for event in cab.broker.events if event.get("event") == name]


def places(cab, stream):
    """(seq, Unix seconds) of its samples in the order of their records, as the events place and move them.

    Ten lines written from the definition of the event, for gateways that run one epoch.
    """
    told = sorted(events(cab, "time"), key=lambda event: event["ms"])
    placed = []
    for sample in cab.broker.stream(stream).samples:
        time, steps = sample.time, [event for event in told if "stepped_ms" in event]
        if not sample.absolute:
            first = told[0]
            time = first["utc"] + (first["utc_ms"] + sample.uptime_ms - first["ms"]) / 1000
        moved = sum(event["stepped_ms"] for event in steps if sample.seq < event["sq"])
        placed.append((sample.seq, time + moved / 1000))
    return sorted(placed)


def assert_in_order(placed, period_s, settings):
    """Their times ascend with their records, a period apart; where the clock is set the slots may lie anew, so often as it was."""
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(placed)]
    odd = [gap for gap in gaps if abs(gap - period_s) > 0.01]
    assert len(odd) <= settings and all(0 < gap <= 2 * period_s for gap in odd), odd


def test_a_clock_set_in_the_middle_of_a_round_dates_nothing_wrongly(cabinet, demo_site):
    cab = cabinet(demo_site, seed=3)
    for device in cab.buses[0].slaves.device_ids:
        cab.buses[0].slaves.silence(device)  # the first round takes longer than the network needs to come up
    cab.run("12s")
    assert cab.request("status")["time"] == "ntp"
    for device in cab.buses[0].slaves.device_ids:
        cab.buses[0].slaves.revive(device)
    cab.run("2m")
    assert len(cab.board.resets) == 1
    assert cab.request("status")["missed_slots"] < 30
    for view in cab.broker.streams.values():
        times = [sample.time for sample in view.samples]
        assert times == sorted(times)
        assert all(cab.start_unix_s <= time <= cab.start_unix_s + cab.now_s for time in times)
        if view.name in steady(cab):
            assert view.last.time >= cab.start_unix_s + cab.now_s - 30 and view.last.reason == ""


def test_a_clock_stepped_back_an_hour_does_not_stop_the_rounds(cabinet):
    cab = cabinet(COUNTERS, seed=3)
    cab.run("30m")
    cab.time_server.offset_s = -3600
    cab.run("35m")  # the next hourly question to the time server
    assert cab.broker.stream("meter/energy").last.time < cab.start_unix_s + cab.now_s - 3000
    before = cab.broker.stream("meter/energy").count
    cab.run("2m")
    assert 23 <= cab.broker.stream("meter/energy").count - before <= 25
    assert len(cab.board.resets) == 1


def test_unset_then_set_then_stepped_back_an_hour_all_samples_are_in_order(cabinet):
    cab = cabinet(COUNTERS, seed=3)
    cab.time_server.silent = True
    cab.time_server.offset_s = 3600  # set by hand, in the wrong season
    cab.run("3m")
    assert cab.request("status")["time"] == "none"
    stamps = [sample.time for view in cab.broker.streams.values() for sample in view.samples]
    assert stamps and max(stamps) <= 0  # relative: nobody knows better
    cab.time_server.silent = False
    cab.run("3m")
    cab.time_server.offset_s = 0
    cab.run("61m")
    first, step = events(cab, "time")
    assert "stepped_ms" not in first and -3_600_100 < step["stepped_ms"] < -3_599_900
    assert first["source"] == step["source"] == "ntp" and 1 < first["sq"] < step["sq"]
    for view in cab.broker.streams.values():
        placed = places(cab, view.name)
        assert_in_order(placed, 5, settings=3)  # one is the start: the first round is at once
        assert abs(len(placed) - cab.now_s / 5) < 5
        assert all(cab.start_unix_s - 1 <= time <= cab.start_unix_s + cab.now_s for _, time in placed)
        assert placed[-1][1] > cab.start_unix_s + cab.now_s - 15
        absolute = [sample.time for sample in view.samples if sample.absolute]
        assert min(absolute) >= RELEASED


@pytest.mark.long
def test_a_step_in_the_middle_of_a_round_leaves_that_round_on_one_side(cabinet, counters_site):
    """The device takes most of each second to answer, so the clock is always set while it is read."""
    cab = cabinet(counters_site("ntp.example", period_s=1, timeout_ms=950), seed=3)
    cab.buses[0].slaves.faults.append(lambda unit, reply, delay_us: [(reply, 850_000)])
    for minutes, offset_s in ((59, -3600), (60, 0), (60, 100), (60, -100)):
        cab.run(f"{minutes}m")
        cab.time_server.offset_s = offset_s
    cab.run("5m")
    steps = [event["stepped_ms"] for event in events(cab, "time") if "stepped_ms" in event]
    assert [round(step, -2) for step in steps] == [-3_600_000, 3_600_000, 100_000, -200_000]
    assert_in_order(places(cab, "meter/energy"), 1, settings=6)


def test_a_server_that_lies_by_years_is_noticed_and_refused(cabinet):
    cab = cabinet(COUNTERS, seed=3)
    cab.run("10m")
    cab.time_server.offset_s = YEARS
    cab.run("2h")
    (refused,) = events(cab, "time_refused")
    assert refused["server"] == "ntp.test.example"
    assert abs(refused["difference_ms"] - YEARS * 1000) < 1000
    assert abs(refused["said"] - cab.start_unix_s - YEARS) < 7200
    assert abs(cab.request("status")["unix_s"] - cab.start_unix_s - cab.now_s) <= 2
    cab.time_server.offset_s = -YEARS  # before the release
    cab.run("2h")
    assert abs(cab.request("status")["unix_s"] - cab.start_unix_s - cab.now_s) <= 2
    assert len(events(cab, "time_refused")) == 1  # still the same server that cannot be believed
    assert [event for event in events(cab, "time") if "stepped_ms" in event] == []


def test_two_servers_outvote_one_that_lies_from_the_start(cabinet, counters_site):
    cab = cabinet(counters_site("a.example", "b.example", "c.example"), seed=3)
    cab.time_servers["a.example"].offset_s = YEARS
    cab.time_servers["b.example"].jitter_us = 300_000
    cab.run("2m")
    assert abs(cab.request("status")["unix_s"] - cab.start_unix_s - cab.now_s) <= 2
    assert [event["server"] for event in events(cab, "time_refused")] == ["a.example"]
    assert events(cab, "time")[0]["uncertainty_ms"] < 300


def test_a_server_that_has_no_clock_itself_sets_none(cabinet):
    cab = cabinet(COUNTERS, seed=3)
    cab.time_server.offset_s = -cab.start_unix_s + 5  # 1970
    cab.run("3m")
    assert cab.request("status")["time"] == "none"
    assert len(events(cab, "time_refused")) == 1
    cab.time_server.offset_s, cab.time_server.leap = 0, 3  # it says so itself
    cab.run("2m")
    assert cab.request("status")["time"] == "none"
    cab.time_server.leap, cab.time_server.stratum = 0, 16
    cab.run("2m")
    assert cab.request("status")["time"] == "none"
    cab.time_server.stratum = 3
    cab.run("2m")
    assert cab.request("status")["time"] == "ntp"


def test_the_kiss_of_death_is_obeyed(cabinet, counters_site):
    cab = cabinet(counters_site("never.example", "slower.example"), seed=3)
    never, slower = cab.time_servers["never.example"], cab.time_servers["slower.example"]
    never.kiss, slower.kiss = "DENY", "RATE"
    cab.run("20m")
    assert len(never.asked) == 1
    waits = [(later - earlier) / 60e6 for earlier, later in pairwise(slower.asked)]
    assert len(waits) >= 2 and waits[0] >= 4 and waits[1] >= 8
    assert cab.request("status")["time"] == "none"
    slower.kiss = ""
    cab.run("20m")
    assert cab.request("status")["time"] == "ntp"


def test_names_that_are_not_found_are_looked_up_ever_less_often(cabinet, counters_site):
    cab = cabinet(counters_site("lost.example", "gone.example", "there.example"), seed=3)
    server = cab.name_server
    server.records = {"lost.example": [], "gone.example": []}
    cab.run("4m")
    assert cab.request("status")["time"] == "ntp"
    cab.run("26m")
    asked = [name for _, name in server.asked]
    assert 2 <= asked.count("lost.example") <= 7 and 2 <= asked.count("gone.example") <= 7
    assert asked.count("there.example") == 1  # its address is kept


def test_the_time_outlives_a_reset_but_not_a_power_cut(cabinet):
    cab = cabinet(COUNTERS, seed=3)
    cab.run("2m")
    cab.pull_cable("uplink")
    cab.board.reset(5, "soft reset")
    cab.run("1m")
    status = cab.request("status")
    assert status["time"] == "rtc" and abs(status["unix_s"] - cab.start_unix_s - cab.now_s) <= 2
    cab.cut_power()
    cab.run("1m")
    cab.restore_power()
    cab.run("1m")
    assert cab.request("status")["time"] == "none"
