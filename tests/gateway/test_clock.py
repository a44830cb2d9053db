"""The clock is set while the gateway works: order, intervals and honesty of the samples survive it."""

from pathlib import Path

COUNTERS = Path(__file__).with_name("big-counters-site.toml")


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
