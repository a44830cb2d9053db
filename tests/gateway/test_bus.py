"""The field bus, whole gateway on the real MicroPython VM: dead slaves, noise, devices that refuse, writes between polls."""

import shutil
from pathlib import Path

import pytest
from exact_values import assert_exact
from pymodbus.framer import FramerRTU
from written_sites import device, rtu_site

from satama_sim.bus.faults import Behind, late, leading, only, oversized, sometimes, trailing, truncated, wrong_unit

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
SDM630 = Path(__file__).resolve().parents[2] / "sim" / "sites" / "sdm630.toml"


def good(view):
    return sum(1 for sample in view.samples if sample.value is not None)


def sixteen(tmp_path):
    site = tmp_path / "sixteen.toml"
    points = 'points = ["voltage", "active_power", "energy_import"]\n'
    site.write_text(rtu_site(device(f"flat-{unit}", "eastron-sdm120", unit, more=points) for unit in range(1, 17)))
    return site


def test_one_dead_slave_among_sixteen_costs_the_others_nothing(cabinet, tmp_path):
    cab = cabinet(sixteen(tmp_path), seed=4)
    bus = cab.buses[0].slaves
    cab.run("5m")
    before = {stream.name: good(cab.broker.stream(stream.name)) for stream in cab.compiled.streams}
    bus.silence("flat-3")
    probes = cab.buses[0].requests_to(3)
    cab.run("30m")
    probes = cab.buses[0].requests_to(3) - probes
    for stream in cab.compiled.streams:
        view = cab.broker.stream(stream.name)
        arrived = good(view) - before[stream.name]
        if stream.name.startswith("flat-3/"):
            assert arrived <= 3
            assert view.last.reason == "timeout"
            assert len(view.samples) >= 180, "a silent gap is a defect: every slot has its bad sample"
        else:
            assert arrived >= 0.95 * 180, stream.name
    # Three silences, then one probe per step of the back-off: 5, 10, 20, 40, 60 s ... (rounded up to the next slot)
    assert 25 <= probes <= 3 * 3 + 32
    bus.revive("flat-3")
    cab.run("70s")  # the longest back-off, to the next slot
    assert cab.broker.stream("flat-3/voltage").last.value is not None
    assert cab.report()["missed_slots"] == 0


def test_many_dead_slaves_stay_within_their_share_of_the_bus(cabinet, tmp_path):
    cab = cabinet(sixteen(tmp_path), seed=4)
    bus = cab.buses[0].slaves
    cab.run("2m")
    for unit in range(1, 11):
        bus.silence(f"flat-{unit}")
    cab.run("3m")  # they are found out
    before = [cab.buses[0].requests_to(unit) for unit in range(1, 11)]
    cab.run("20m")
    probes = [cab.buses[0].requests_to(unit) - count for unit, count in zip(range(1, 11), before, strict=True)]
    assert all(probes), "nobody is forgotten"
    timeout_us = 1_000_000
    assert sum(probes) * timeout_us <= 0.05 * 20 * 60 * 1_000_000
    arrived = [good(cab.broker.stream(f"flat-{unit}/voltage")) for unit in range(11, 17)]
    assert min(arrived) >= 0.95 * 25 * 6


def test_with_a_third_of_all_frames_damaged_no_wrong_value_arrives_and_nothing_is_blacklisted(cabinet, tmp_path):
    cab = cabinet(sixteen(tmp_path), seed=6)
    bus = cab.buses[0]
    bus.slaves.record_truth = True
    bus.noise(percent=30, seed=9)
    cab.run("20m")
    # Every frame is lost with 30 %, requests and answers; that half of all readings survive is learned patience.
    assert assert_exact(cab, bus.slaves.truth_log, within_us=25_000_000) > 0.6 * 120 * 48
    answer = cab.request("buses")
    assert answer["learned"] == []
    damaged = {reason for unit in answer["units"] for reason, count in unit["errors"] if count}
    assert {"timeout", "crc"} <= damaged
    bus.noise(percent=0)
    cab.run("2m")
    before = {stream.name: good(cab.broker.stream(stream.name)) for stream in cab.compiled.streams}
    cab.run("5m")
    for stream in cab.compiled.streams:
        assert good(cab.broker.stream(stream.name)) - before[stream.name] >= 29, stream.name


TWINS = """
name = "twins"
vendor = "Satama"
model = "two values of the same size, far apart"
kind = "env_sensor"
interface = "modbus"
sources = ["made up"]

[serial]
baud = 9600
parity = "N"
stop_bits = 1

[limits]
max_registers = 10
gap_ms = 0
turnaround_ms = 20
timeout_ms = 400

[[point]]
name = "left"
quantity = "raw_value"
unit = ""
function = 4
address = 0
type = "u16"
range = [0, 60000]
source = "made up"

[[point]]
name = "right"
quantity = "raw_value"
unit = ""
function = 4
address = 100
type = "u16"
range = [0, 60000]
source = "made up"
"""


def refused(unit, reply, delay_us):
    """The device says ILLEGAL DATA ADDRESS although it has the address."""
    refusal = bytes((unit, reply[1] | 0x80, 2))
    return [(refusal + FramerRTU.compute_CRC(refusal).to_bytes(2, "big"), delay_us)]


FAULTS = {
    "late, after the next request": sometimes(3, 30, late(120_000)),
    "very late": sometimes(3, 30, late(390_000)),
    "garbage before": leading(b"\x00\xff"),
    "garbage behind": sometimes(3, 40, trailing(b"\x55" * 40)),
    "torn": sometimes(3, 40, truncated(4)),
    "too long": sometimes(3, 40, oversized(3)),
    "another unit's": sometimes(3, 40, wrong_unit(1)),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_a_device_answers_no_wrong_value_arrives(cabinet, tmp_path, fault):
    """And nobody is spoken over: the bus monitor watches."""
    (tmp_path / "twins.toml").write_text(TWINS)
    site = tmp_path / "faults.toml"
    site.write_text(rtu_site([device("twins", "./twins.toml", 7, 2), device("flat", "eastron-sdm120", 1, 5)]))
    cab = cabinet(site, seed=6)
    bus = cab.buses[0]
    bus.slaves.record_truth = True
    cab.run("1m")
    bus.slaves.faults.append(only([7], fault))
    cab.run("10m")
    bus.slaves.faults.clear()
    cab.run("2m")
    assert assert_exact(cab, bus.slaves.truth_log, within_us=5_000_000) > 1000
    assert cab.broker.stream("twins/left").last.value is not None
    answer = cab.request("buses")
    assert answer["learned"] == []
    # What comes late can hit another device's answer on the wire; it is asked again, and loses nothing.
    assert all(sample.value is not None for sample in cab.broker.stream("flat/voltage").samples)


def test_a_device_that_refuses_now_and_then_has_nothing_taken_away(cabinet, tmp_path):
    site = tmp_path / "refusals.toml"
    site.write_text(rtu_site([device("flat", "eastron-sdm120", 1, 5)]))
    cab = cabinet(site, seed=6)
    cab.buses[0].slaves.faults.append(sometimes(3, 5, refused))
    cab.run("10m")
    answer = cab.request("buses")
    [(kind, count)] = answer["units"][0]["errors"]
    assert kind == "exception" and count > 10
    assert answer["learned"] == []
    for stream in cab.compiled.streams:  # what was refused in a whole was read in pieces, in the same round
        samples = cab.broker.stream(stream.name).samples
        assert sum(sample.value is not None for sample in samples) >= 0.95 * len(samples) > 100


def test_a_device_that_is_always_one_answer_behind_is_found_out(cabinet, tmp_path):
    """As long as its answers differ in length: nothing else in an RTU answer says which request it belongs to."""
    site = tmp_path / "behind.toml"
    site.write_text(rtu_site([device("flat", "eastron-sdm120", 1, 5)]))
    cab = cabinet(site, seed=6)
    bus = cab.buses[0]
    bus.slaves.record_truth = True
    bus.slaves.faults.append(Behind())
    cab.run("5m")
    assert_exact(cab, bus.slaves.truth_log, within_us=5_000_000)
    assert sorted(reason for reason, _ in cab.request("buses")["units"][0]["errors"]) == ["short", "timeout"]


def test_a_unit_that_refuses_long_reads_is_learned_and_served(cabinet):
    cab = cabinet(SDM630, seed=2)
    unit = cab.buses[0].slaves.unit("main-meter")
    unit.max_registers = 50  # its firmware; the profile says 80
    cab.buses[0].slaves.record_truth = True
    [(period_s, _, _)] = cab.compiled.body["polls"]
    cab.run(f"{6 * period_s}s")
    for stream in cab.compiled.streams:
        view = cab.broker.stream(stream.name)
        assert view.samples and all(sample.value is not None for sample in view.samples), stream.name
    assert cab.request("buses")["learned"]
    cab.cut_power()
    cab.run("5s")
    cab.restore_power()
    cab.run("20s")
    assert cab.request("buses")["learned"], "what was learned survives a power cut"
    refused = cab.request("buses")["units"][0]["errors"]
    assert refused == [], "and nothing has to be refused again"


def test_a_hole_that_the_device_does_not_have_is_learned(cabinet):
    cab = cabinet(SDM630, seed=2)
    unit = cab.buses[0].slaves.unit("main-meter")
    unit.reserved_gap = 0
    [(period_s, _, _)] = cab.compiled.body["polls"]
    cab.run(f"{5 * period_s}s")
    for stream in cab.compiled.streams:
        assert cab.broker.stream(stream.name).last.value is not None, stream.name
    before = cab.request("buses")["units"][0]["errors"]
    cab.run(f"{3 * period_s}s")
    assert cab.request("buses")["units"][0]["errors"] == before


def test_a_whole_map_takes_the_planned_requests_and_hardly_more_than_the_wire_needs(cabinet):
    cab = cabinet(SDM630, seed=2)
    [(period_s, reads, _)] = cab.compiled.body["polls"]
    assert len(reads) == 4
    cab.run(f"{period_s + 5}s")
    bus = cab.buses[0]
    before = bus.requests, bus.busy_us, bus.wire_limit_us
    cab.run(f"{10 * period_s}s")
    assert bus.requests - before[0] == 40
    busy, limit = bus.busy_us - before[1], bus.wire_limit_us - before[2]
    assert limit <= busy <= limit / 0.95


WRITER = '''
import asyncio
import sys

import vfs
from slots import Slots

slots = Slots()
vfs.mount(slots.choose(), "/slot")
sys.path.insert(0, "/slot")
from gateway import app
from gateway.acquire.modbus import writes
from gateway.core import site as site_file

rooms = app.Gateway(site_file.load(open(slots.archive.path, "rb"), *slots.archive.find("site.bin")))  # its tables are looked up in the open file


async def write():
    """Somebody switches a relay, as often as the bus lets him."""
    [bus] = rooms.buses
    relay = [unit for unit in rooms.units if unit.name == "valve"][0]
    for at in range(200):
        frame = bus.link.frame(relay.number, writes.write_coil(0, at & 1))
        reason, answer = await bus.ask(relay, frame, 20, 500)
        print("wrote", at & 1, reason)
        await asyncio.sleep_ms(at * 7 % 230)


async def main():
    asyncio.create_task(write())
    await rooms.run()


asyncio.run(main())
'''


def test_writes_come_between_two_polls_and_collide_with_none(cabinet, tmp_path):
    firmware = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, firmware)
    (firmware / "main.py").write_text(WRITER)
    site = tmp_path / "writes.toml"
    meters = [device(f"flat-{unit}", "eastron-sdm120", unit, period_s=5) for unit in (1, 2, 3)]
    site.write_text(rtu_site([*meters, device("valve", "waveshare-relay8", 4, period_s=5)]))
    cab = cabinet(site, seed=8, firmware=firmware)
    cab.run("90s")
    text = cab.console_text()
    assert text.count("wrote 0 0") == text.count("wrote 1 0") == 100
    assert cab.buses[0].collisions == 0
    report = cab.report()
    assert (report["modbus_errors"], report["missed_slots"]) == (0, 0)


@pytest.mark.parametrize("declared", [True, False])
def test_a_line_that_echoes(cabinet, tmp_path, declared):
    """Cheap transceivers hear themselves. Reads work whether the site file says so or not."""
    site = tmp_path / "echo.toml"
    devices = [device("flat-1", "eastron-sdm120", 1), device("valve", "waveshare-relay8", 4)]
    text = rtu_site([*devices, device("heat", "diehl-sharky775", 5, more='points = ["error", "t_flow"]\n')])
    site.write_text(text.replace("baud = 9600", "baud = 9600\necho = true") if declared else text)
    cab = cabinet(site, seed=4)
    bus = cab.buses[0]
    bus.echo = True
    bus.slaves.record_truth = True
    cab.run("3m")
    assert assert_exact(cab, bus.slaves.truth_log, within_us=5_000_000) > 300
    assert all(unit["errors"] == [] for unit in cab.request("buses")["units"])
    assert bus.busy_us <= bus.wire_limit_us / (0.95 if declared else 0.85)


def test_a_bus_that_rests_for_a_quarter_of_an_hour_answers_at_once(cabinet, tmp_path):
    """time.ticks_us wraps after 18 minutes: after nine, what is long past looks like the future."""
    site = tmp_path / "rare.toml"
    site.write_text(rtu_site([device("flat-1", "eastron-sdm120", 1, period_s=900)]))
    cab = cabinet(site, seed=4)
    bus = cab.buses[0]
    bus.slaves.record_truth = True
    cab.run("46m")
    read_at = {at_us // 1_000_000 for _, point, at_us, _ in bus.slaves.truth_log if point == "voltage"}
    assert len(read_at) == 4
    assert all((at_s + cab.start_unix_s) % 900 < 5 for at_s in sorted(read_at)[1:])


def test_the_trace_shows_the_last_frames(cabinet, tmp_path):
    cab = cabinet(sixteen(tmp_path), seed=4)
    cab.buses[0].slaves.silence("flat-2")
    cab.run("30s")
    answer = cab.request("trace")
    assert answer["bus"] == "rs485" and len(answer["frames"]) == 32
    verdicts = {frame[4] for frame in answer["frames"]}
    assert "ok" in verdicts
    for _, unit, request, took_us, verdict, length, reply in answer["frames"]:
        assert request.startswith(f"{unit:02x} 04 ")
        if verdict == "ok":
            assert took_us > 10_000 and length > 5 and reply.startswith(f"{unit:02x} 04 ")
    assert "uptime ms, unit, request" in cab.type("trace rs485")
    assert "no such request" in cab.type("trace nowhere")
    assert "SILENT" in cab.type("buses", wait=4)
