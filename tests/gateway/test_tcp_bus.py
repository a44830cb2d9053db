"""Modbus TCP, whole gateway on the real MicroPython VM: lost connections, half-open ones, gateways to silent units, two buses side by side."""

from exact_values import assert_exact
from written_sites import HEAD, RTU, device, tcp_bus

from satama_sim.bus.faults import absurd_length, late, wrong_transaction

METER = "siemens-pac2200"
POINTS = 'points = ["voltage_l1", "voltage_l2", "active_power"]\n'


def tcp_site(tmp_path, more=""):
    site = tmp_path / "tcp.toml"
    meters = [device(f"meter-{unit}", METER, unit, bus="lan", more=POINTS) for unit in (1, 2)]
    site.write_text(HEAD.format(board="esp32-devkit") + tcp_bus("lan", "192.168.1.40") + "".join(meters) + more)
    return site


def last(cab, stream):
    return cab.broker.stream(stream).last


def test_values_arrive_and_are_those_that_the_device_showed(cabinet, tmp_path):
    cab = cabinet(tcp_site(tmp_path), seed=3)
    cab.buses[0].slaves.record_truth = True
    cab.run("2m")
    assert assert_exact(cab, cab.buses[0].slaves.truth_log, within_us=5_000_000) >= 60
    assert cab.buses[0].connections == 1
    errors = [unit["errors"] for unit in cab.request("buses")["units"]]
    assert all(reason == "bus_down" and count <= 2 for rows in errors for reason, count in rows), (
        "only before the Wi-Fi was up"
    )


def test_a_dropped_connection_is_made_again_without_losing_a_reading(cabinet, tmp_path):
    cab = cabinet(tcp_site(tmp_path), seed=3)
    cab.run("35s")
    for lose in (cab.buses[0].drop, cab.buses[0].forget) * 3:
        lose()
        cab.run("20s")
    samples = cab.broker.stream("meter-1/voltage_l1").samples[2:]  # at first the Wi-Fi was not up yet
    assert len(samples) > 10 and all(sample.value is not None for sample in samples)
    assert cab.buses[0].accepted == 7


def test_a_server_that_is_away_costs_no_missed_slot_and_no_reset(cabinet, tmp_path):
    cab = cabinet(tcp_site(tmp_path), seed=3)
    cab.run("30s")
    cab.buses[0].listening = False
    cab.buses[0].drop()
    cab.run("10m")
    assert last(cab, "meter-1/voltage_l1").reason == "bus_down"
    cab.buses[0].listening = True
    cab.run("50s")
    assert last(cab, "meter-1/voltage_l1").value is not None
    cab.pull_cable("lan")
    cab.run("10m")
    assert last(cab, "meter-1/voltage_l1").reason in ("bus_down", "timeout")
    cab.plug_in("lan")
    cab.run("90s")
    assert last(cab, "meter-1/voltage_l1").value is not None
    report = cab.report()
    assert (report["missed_slots"], report["resets"]) == (0, 0)


def test_a_half_open_connection_is_given_up(cabinet, tmp_path):
    cab = cabinet(tcp_site(tmp_path), seed=3)
    cab.run("30s")
    cab.buses[0].deaf = True
    cab.run("2m")
    assert last(cab, "meter-1/voltage_l1").reason == "timeout"
    assert cab.buses[0].accepted >= 2
    cab.buses[0].deaf = False
    cab.run("2m")
    assert last(cab, "meter-1/voltage_l1").value is not None


def test_a_silent_unit_behind_a_gateway_does_not_take_the_others_along(cabinet, tmp_path):
    cab = cabinet(tcp_site(tmp_path), seed=3)
    cab.run("30s")
    cab.buses[0].slaves.silence("meter-2")
    cab.run("5m")
    assert last(cab, "meter-2/voltage_l1").reason == "timeout"
    assert all(sample.value is not None for sample in cab.broker.stream("meter-1/voltage_l1").samples[-28:])
    units = {unit["device"]: unit["alive"] for unit in cab.request("buses")["units"]}
    assert units == {"meter-1": True, "meter-2": False}
    cab.buses[0].slaves.revive("meter-2")
    cab.run("80s")
    assert last(cab, "meter-2/voltage_l1").value is not None


def test_answers_that_are_late_or_nonsense_never_become_values(cabinet, tmp_path):
    cab = cabinet(tcp_site(tmp_path), seed=3)
    cab.buses[0].slaves.record_truth = True
    for fault in (late(1_500_000), wrong_transaction(1), wrong_transaction(-1), absurd_length(60_000)):
        cab.buses[0].faults = [fault]
        cab.run("2m")
        assert last(cab, "meter-1/voltage_l1").value is None
    cab.buses[0].faults = []
    cab.run("2m")
    assert assert_exact(cab, cab.buses[0].slaves.truth_log, within_us=25_000_000) >= 30
    assert cab.report()["resets"] == 0


def test_two_buses_are_read_side_by_side(cabinet, tmp_path):
    """A slow line does not hold up the network."""
    line = RTU.format(baud=1200) + "".join(device(f"flat-{unit}", "eastron-sdm120", unit) for unit in (1, 2))
    cab = cabinet(tcp_site(tmp_path, line), seed=3)
    cab.run("2m")
    report = cab.report()
    assert report["streams_missing"] == []
    assert report["missed_slots"] == 0
    errors = {unit["device"]: unit["errors"] for unit in cab.request("buses")["units"]}
    assert errors["flat-1"] == errors["flat-2"] == []
