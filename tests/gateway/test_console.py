"""The serial console of a running gateway: text for people, JSON sequences for tools, and no harm from garbage."""

import json

import pytest
from pymodbus.framer import FramerRTU
from written_sites import device, rtu_site

from satama.core.places import PROFILES
from satama_sim.bus.faults import only


def test_people_get_text(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.run("1m")
    assert "ledger" in cab.type("help")
    status = cab.type("status")
    assert "demo-01" in status and "broker online" in status and "time from ntp" in status
    points = cab.type("points")
    for point in cab.compiled.body["points"]:
        assert point[0] in points
    assert "balanced" in cab.type("ledger", wait=4)
    assert "try: help" in cab.type("reboot everything")


def test_tools_get_json_sequences(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.run("1m")
    assert {row["name"] for row in cab.request("help")["requests"]} == {
        "help",
        "status",
        "points",
        "ledger",
        "buses",
        "trace",
        "history",
        "identify",
        "selftest",
        "calibrate",
        "exchange",
        "crash",
        "restart",
        "repl",
        "slots",
        "switch",
    }
    points = {row["point"]: row for row in cab.request("points")["points"]}
    assert points["main-meter/voltage_l1"]["quality"] == "good"
    shown = points["main-meter/energy_import"]["value"]
    assert float(shown) > 0 and "." in shown
    refused = cab.request("format-flash")
    assert refused["ok"] is False and refused["try"]["op"] == "help"


def test_garbage_does_no_harm(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.run("30s")
    garbage = (
        bytes(range(256)) * 3
        + b"\x1e{" * 50
        + b"\x1e[1,2\n\x1e\xff\xfe\n"
        + b"x" * 2000
        + b"\n"
        + b"\x1e"
        + b"9" * 300
        + b"\n"
    )
    cab.board.send_console(garbage)
    cab.run("10s")
    assert cab.request("status")["broker"] == "online"
    assert cab.ledger()["balanced"]
    assert len(cab.board.resets) == 1


def test_text_and_tools_share_the_line(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.run("30s")
    start = len(cab.console_output)
    cab.board.send_console(b'sta\x1e{"id": 77, "op": "ledger"}\nhelp\r')
    cab.run("5s")
    out = bytes(cab.console_output[start:])
    answer = json.loads(out.split(b"\x1e")[1].split(b"\n")[0])
    assert answer["id"] == 77 and answer["balanced"]
    assert b"status" in out.split(b"\n", 1)[1]


def test_a_damaged_application_is_told_on_the_console(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.cut_power()
    at = cab.flash.data.find(b"satama-site 2 ")
    cab.flash.data[at + 100] ^= 0x01
    cab.restore_power()
    cab.run("5s")
    assert "no application" in cab.console_text() and "satama flash" in cab.console_text()


def test_a_device_is_asked_who_it_is_between_two_polls(cabinet, tmp_path):
    profile = (PROFILES / "eastron-sdm120.toml").read_text(encoding="utf-8").replace("eastron-sdm120", "talkative")
    (tmp_path / "talkative.toml").write_text(profile + '\n[identity]\nobject = 5\ncontains = "SDM120 of the test"\n')
    site = tmp_path / "who.toml"
    site.write_text(rtu_site([device("meter", "./talkative.toml", 1, 5), device("flat", "eastron-sdm120", 2)]))
    cab = cabinet(site, seed=2)
    cab.run("30s")
    said = cab.request("identify", of="meter")
    assert said["device"] == "meter"
    assert ["model", "SDM120 of the test"] in said["says"]
    assert said["says"][-1] == ["server id", "exception 1"]
    assert "NOT THE DEVICE" not in cab.type("buses", wait=4)
    assert "exception 1" in cab.type("identify flat", wait=4), "an Eastron knows neither function"
    assert "no such request" in cab.type("identify nobody")
    cab.buses[0].slaves.silence("flat")
    assert "timeout" in cab.type("identify flat", wait=8)
    assert cab.report()["missed_slots"] == 0


def of_another_type(unit, reply, delay_us):
    """ABB B23 and B24 are told apart by a register: this one says it is the other."""
    if reply[2:7] != b"\x04" + (1110586144).to_bytes(4, "big"):
        return [(reply, delay_us)]
    other = reply[:3] + (1110586400).to_bytes(4, "big")
    return [(other + FramerRTU.compute_CRC(other).to_bytes(2, "big"), delay_us)]


def test_a_device_that_is_not_what_its_profile_says_is_told(cabinet, tmp_path):
    site = tmp_path / "abb.toml"
    site.write_text(rtu_site([device("left", "abb-b23", 1), device("right", "abb-b23", 2)]))
    cab = cabinet(site, seed=2)
    cab.buses[0].slaves.faults.append(only([2], of_another_type))
    cab.run("30s")
    assert {unit["device"]: unit["expected"] for unit in cab.request("buses")["units"]} == {
        "left": True,
        "right": False,
    }
    assert cab.type("buses", wait=4).count("NOT THE DEVICE") == 1


def test_a_probe_is_calibrated_on_the_spot_and_stays_so_after_a_power_cut(cabinet, demo_site):
    cab = cabinet(demo_site, seed=2)
    cab.run("20s")
    assert "not a number" in cab.type("calibrate bed-1/moisture wet")
    assert "no such request" in cab.type("calibrate bed-1/nothing 5")
    assert "not an analog input" in cab.type("calibrate main-meter/frequency 50")
    cab.world.set("bed-1", "moisture", 10)
    cab.run("1s")
    assert cab.request("calibrate", of="bed-1/moisture", value="20")["result"] == "kept"
    cab.world.set("bed-1", "moisture", 80)
    cab.run("1s")
    assert "kept" in cab.type("calibrate bed-1/moisture 90.0")
    cab.world.set("bed-1", "moisture", 45)
    cab.run("1m")
    assert float(cab.broker.stream("bed-1/moisture/mean").last.value) == pytest.approx(55, abs=0.3)
    cab.cut_power()
    cab.restore_power()
    cab.run("1m")
    assert float(cab.broker.stream("bed-1/moisture/mean").last.value) == pytest.approx(55, abs=0.3)
    cab.request("calibrate", of="bed-1/moisture", value="forget")
    cab.run("1m")
    assert float(cab.broker.stream("bed-1/moisture/mean").last.value) == pytest.approx(45, abs=0.3)
