"""The gateway's own self-test: what is wrong in a cabinet has a red row, its neighbours have not, and sampling goes on."""

import pytest
from test_console import of_another_type
from test_health import ONCE, RAISE, broken, goes_wrong  # noqa: F401  the fixture
from test_listeners import listening
from written_sites import device, rtu_site, tcp_bus

from satama.commissioning.after_flash import repeat
from satama.commissioning.cabling import cabling
from satama.commissioning.checklist import checklist
from satama_sim.bus.faults import only


def selftest(cab):
    """(answer, its rows by (check, of))"""
    answer = cab.request("selftest")
    return answer, {(row["check"], row["of"]): row for row in answer["checks"]}


def red(cab):
    """{(check, of): what is said} of the red rows."""
    answer, rows = selftest(cab)
    found = {key: row["said"] for key, row in rows.items() if row["ok"] is False}
    assert not (found and answer["passed"])
    lines = [line for line in checklist(answer, cabling(cab.compiled)) if line.state == "red"]
    assert {(line.check, line.of) for line in lines} == set(found)
    assert all(line.advice and "those who maintain" not in line.advice for line in lines), "a person knows what to do"
    return found


def waiting(cab):
    return {row["check"]: row["said"] for row in cab.request("selftest")["checks"] if row.get("waits")}


@pytest.fixture
def demo(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.run("1m")
    return cab


def test_a_cabinet_that_works_passes_and_says_who_it_is(demo):
    answer, rows = selftest(demo)
    assert answer["passed"] and all(row["ok"] is not False for row in rows.values())
    body = demo.compiled.body
    assert [answer[key] for key in ("gateway", "config", "board")] == [body["gateway"], body["config"], body["board"]]
    assert answer["mac"] == demo.board.traits.unique_id.hex()
    assert {of for check, of in rows if check == "device"} == {unit[2] for unit in body["units"]}
    assert all(row["asked"] and row["ms"] > 0 for (check, _), row in rows.items() if check == "device")
    assert rows["adc", "bed-1/moisture"]["uv"] > 1_000_000
    assert rows["network", "wifi"]["rssi"] == demo.radio.rssi
    assert rows["address", ""]["said"].count(".") == 3
    assert rows["time", ""]["source"] == "ntp" and rows["time", ""]["uncertainty_ms"] < 1000
    assert rows["broker", "broker.kalasatama.example"]["confirmed"] > 0


def test_people_read_it_too(demo):
    shown = demo.type("selftest", wait=4)
    assert "ok  device   main-meter" in shown and "\r\n  passed\r\n" in shown
    demo.buses[0].slaves.silence("flat-meter")
    demo.run("10s")
    shown = demo.type("selftest", wait=8)
    assert "RED device   flat-meter" in shown and "NOT PASSED" in shown


def test_at_first_it_waits_and_then_it_passes(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.run("500ms")
    early = waiting(cab)
    assert early["device"] == early["bus"] == early["values"] == "first round"
    assert early["network"] == "connecting" and early["time"] == early["broker"] == "no network"
    assert not red(cab)
    done = repeat(cab, 90, cab.compiled, now=lambda: cab.now_s, sleep=cab.run)
    assert done.passed and done.tests > 1 and cab.now_s < 40
    assert not waiting(cab)


def test_a_dead_device_is_red_and_a_mended_one_is_soon_noticed(demo):
    demo.buses[0].slaves.silence("flat-meter")
    demo.run("10s")
    assert red(demo) == {("device", "flat-meter"): "timeout"}
    demo.run("4m")  # it counts as dead, and is asked but once a minute
    assert red(demo) == {("device", "flat-meter"): "timeout"}
    assert not selftest(demo)[1]["device", "flat-meter"]["asked"], "a minute of questions to the dead costs too much"
    demo.buses[0].slaves.revive("flat-meter")
    demo.run_until(lambda: not red(demo), within="25s", step="5s")


def test_a_bus_without_its_cable_is_silent_as_a_whole(demo):
    demo.pull_cable("rs485")
    demo.run("2m")
    found = red(demo)
    assert found["bus", "rs485"] == "silent" and found["device", "main-meter"] == "timeout"
    assert {check for check, _ in found} == {"bus", "device"}, "its values are a consequence"
    demo.plug_in("rs485")
    demo.run("2m")
    assert not red(demo)


def test_noise_is_the_line_s_fault(demo):
    demo.buses[0].noise(percent=30, seed=3)
    demo.run("1m")
    _, rows = selftest(demo)
    assert rows["bus", "rs485"]["said"] == "noise" and rows["bus", "rs485"]["damaged"] >= 3
    assert rows["bus", "rs485"]["errors"]["crc"] >= 3


def test_a_meter_of_another_type_is_not_the_device(cabinet, tmp_path):
    site = tmp_path / "abb.toml"
    site.write_text(rtu_site([device("left", "abb-b23", 1), device("right", "abb-b23", 2)]))
    cab = cabinet(site, seed=2)
    cab.buses[0].slaves.faults.append(only([2], of_another_type))
    cab.run("30s")
    assert red(cab) == {("device", "right"): "another device"}


def test_a_gateway_of_a_tcp_bus_that_cannot_be_reached_is_told_of_all_its_devices(cabinet, tmp_path):
    devices = [device(f"flat-{n}", "eastron-sdm120", n, bus="hall") for n in (1, 2, 3)]
    site = tmp_path / "tcp.toml"
    site.write_text(rtu_site([]).split("[[bus]]")[0] + tcp_bus("hall", "192.0.2.7") + "".join(devices))
    cab = cabinet(site, seed=2)
    cab.run("1m")
    assert not red(cab)
    cab.pull_cable("hall")
    cab.run("1m")
    found = red(cab)
    assert found["bus", "hall"] == "silent"
    assert {said for (check, _), said in found.items() if check == "device"} <= {"bus_down", "timeout"}
    assert len(found) == 4


def test_a_customer_port_that_hears_nothing(cabinet, tmp_path):
    site = tmp_path / "h1.toml"
    site.write_text(listening("h1", "meter", "h1-port"))
    cab = cabinet(site, seed=2)
    cab.run("1m")
    assert not red(cab)
    cab.pull_cable("port")
    cab.run("1m")
    assert red(cab) == {("listen", "port"): "stale"}


@pytest.mark.parametrize("uv, said", [(0, "invalid"), (3_290_000, "at the rail")])
def test_an_analog_input_at_the_rail(demo, uv, said):
    [gpio] = demo.board.pins.adc
    demo.board.pins.adc[gpio] = lambda: uv
    demo.run("2s")
    assert red(demo)["adc", "bed-1/moisture"] == said


def test_a_value_that_cannot_be_is_told_though_its_device_answers(demo):
    demo.world.set("bin-1", "distance", 20)  # dirt on the sensor: nearer than the site says it can see
    demo.run("20s")
    found = red(demo)
    assert ("value", "bin-1/distance") in found and ("device", "bin-1") not in found


def test_pulses_are_seen_or_not(demo):
    _, rows = selftest(demo)
    assert rows["pulse", "water/volume"]["ok"] is None
    demo.run_until(lambda: selftest(demo)[1]["pulse", "water/volume"]["ok"], within="2h", step="2m")


def test_without_a_network_it_alone_is_red(demo):
    demo.pull_cable("network")
    demo.run("1m")
    assert red(demo) == {("network", "wifi"): "no access point"}
    assert waiting(demo) == {"address": "no network", "broker": "no network"}


def test_on_ethernet_the_plug_is_what_is_red(cabinet, demo_site, tmp_path):
    lines = demo_site.read_text(encoding="utf-8").replace('kind = "wifi"', 'kind = "lan"').splitlines()
    site = tmp_path / "lan.toml"
    site.write_text("\n".join(line for line in lines if not line.startswith(("ssid", "password"))))
    cab = cabinet(site, seed=2)
    cab.run("40s")
    assert selftest(cab)[1]["network", "lan"]["said"] == "up" and not red(cab)
    cab.pull_cable("network")
    cab.run("1m")
    assert red(cab) == {("network", "lan"): "no cable"}


def test_a_wrong_password_is_told(cabinet, demo_site, tmp_path):
    cab = cabinet(demo_site, seed=2)
    cab.radio.access_points["kalasatama-iot"] = "somebody has changed it"
    cab.run("1m")
    assert red(cab) == {("network", "wifi"): "wrong Wi-Fi password"}
    assert waiting(cab)["time"] == "no network"


def test_without_a_broker_the_rest_is_fine(demo):
    demo.stop_broker()
    demo.run("1m")
    assert red(demo) == {("broker", "broker.kalasatama.example"): "connection refused"}


def test_behind_a_dead_uplink_the_broker_is_not_reached(demo):
    demo.pull_cable("uplink")
    demo.run("3m")
    [(key, said)] = red(demo).items()
    assert key[0] == "broker" and said in ("no answer", "connect timed out", "name server silent"), said


def test_a_time_server_that_lies_and_one_that_says_nothing(cabinet, demo_site):
    for wrong, said in (({"offset_s": -10 * 365 * 86400}, "not believed"), ({"silent": True}, "no answer")):
        cab = cabinet(demo_site, seed=2)
        for name, what in wrong.items():
            setattr(cab.time_server, name, what)
        cab.run("90s")
        assert red(cab) == {("time", ""): said}


def test_a_flash_that_fails(demo):
    part = demo.compiled.board.partitions["journal"]
    demo.flash.failing = range(part.offset, part.offset + part.size)
    demo.board.nvs.full = True  # it is the same chip
    demo.run("1m")
    kept = demo.request("calibrate", of="bed-1/moisture", value="20")
    assert kept["result"] == "in force, but flash did not take it"
    assert red(demo)["journal", ""] == "flash fails"
    demo.flash.failing = range(0)
    demo.run_until(lambda: not red(demo), within="30m", step="1m")
    assert demo.request("status")["boots"] == 1


def test_a_crash_is_red_until_the_next_start_on_purpose(cabinet, demo_site, broken):  # noqa: F811
    pair = goes_wrong("                    await self._turn()\n", ONCE, RAISE)
    cab = cabinet(demo_site, seed=4, firmware=broken({"uplink/sender.py": [pair]}))
    cab.run("2m")
    _, rows = selftest(cab)
    assert rows["start", ""]["said"] == "crashed" and rows["start", ""]["crash"].startswith("uplink: ValueError")
    cab.request("restart")
    cab.run("1m")
    assert not red(cab)


def test_private_figures_stay_private(cabinet, demo_site):
    cab = cabinet(demo_site.parent / "house.toml", seed=2)
    cab.run("1m")
    for row in cab.request("selftest")["checks"]:
        if row["check"] in ("adc", "pulse", "value"):
            assert not {"uv", "pulses"} & set(row) or not row["of"].startswith("flat")


def test_on_a_bus_without_a_pause_nobody_is_asked_who_was_just_heard(cabinet, tmp_path):
    """Seven meters every second: 97 % of what the line can carry. One more question, and a round would run over the next."""
    site = tmp_path / "full.toml"
    meters = [device(f"flat-{n}", "eastron-sdm120", n, 1, more='points = ["voltage"]\n') for n in range(1, 8)]
    site.write_text(rtu_site(meters))
    cab = cabinet(site, seed=2)
    cab.run("20s")
    before = cab.request("buses")["units"][0]["requests"], cab.now_s
    for _ in range(3):
        answer, rows = selftest(cab)
        assert answer["passed"] and all(row["asked"] for (check, _), row in rows.items() if check == "device")
    asked = cab.request("buses")["units"][0]["requests"] - before[0]
    assert asked <= cab.now_s - before[1] + 1, "one a second, which are the round's own"
    assert cab.request("status")["missed_slots"] == 0


def test_sampling_goes_on_however_often_it_is_asked(cabinet, demo_site):
    """On the fullest bus of our sites, with a silent device: no slot is missed, nothing is lost, and no answer takes long."""
    cab = cabinet(demo_site.parent / "storm16.toml", seed=2)
    cab.buses[0].slaves.silence("flat-2")
    cab.run("90s")
    for _ in range(8):
        started = cab.now_s
        answer, rows = selftest(cab)
        assert cab.now_s - started < 9
        assert rows["device", "flat-1"]["ok"] and rows["device", "flat-2"]["said"] == "timeout"
    cab.run("1m")
    assert cab.request("status")["missed_slots"] == 0
    assert cab.ledger()["balanced"] and cab.ledger()["dropped"] == 0
    assert len(cab.board.resets) == 1
