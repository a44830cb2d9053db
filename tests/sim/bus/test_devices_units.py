"""The devices on the bus, asked and understood by pymodbus and struct."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from satama.profile import load_profile
from satama_sim.bus.devices import ModbusUnits
from satama_sim.world import build_world

SECOND = 1_000_000
JUNE = 1_750_000_000
ROWS = [("meter", "eastron-sdm630", 1), ("flat", "eastron-sdm120", 2), ("valve", "waveshare-relay8", 3),
        ("heat", "diehl-sharky775", 5), ("bin", "dfrobot-urm14", 12), ("bed", "dfrobot-sen0193", None)]  # fmt: skip
PROFILES = {device: load_profile(profile) for device, profile, _ in ROWS}
CLIENT = FramerRTU(DecodePDU(False))


def units(seed=7, rows=ROWS, overrides=None, profiles=None):
    devices = [SimpleNamespace(id=i, profile=p, bus="rs485" if u else None, unit=u) for i, p, u in rows]
    compiled = SimpleNamespace(site=SimpleNamespace(devices=devices), profiles=profiles or PROFILES)
    return ModbusUnits(compiled, build_world(compiled, seed, JUNE, overrides), "rs485")


def frame(*body):
    body = bytes(body)
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def request(unit, function, address, count):
    return frame(*struct.pack(">BBHH", unit, function, address, count))


def ask(bus, sent, now_us=0):
    """The one answer, decoded by pymodbus' client side."""
    ((unit, reply, _),) = bus.answer(sent, now_us)
    assert unit == sent[0] == reply[0]
    used, pdu = CLIENT.handleFrame(reply, unit, 0)
    assert used == len(reply)
    return pdu


def code(pdu):
    return pdu.exception_code if pdu.isError() else 0


def test_floats_arrive_as_the_world_has_them():
    bus = units()
    pdu = ask(bus, request(1, 4, 0, 12), 777 * SECOND)
    got = struct.unpack(">6f", struct.pack(">12H", *pdu.registers))
    names = [f"{quantity}_l{n}" for quantity in ("voltage", "current") for n in (1, 2, 3)]
    for name, value in zip(names, got, strict=True):
        exact = bus.world.truth("meter", name)
        assert value == struct.unpack(">f", struct.pack(">f", exact))[0]
        assert value != 0


def test_scaled_integers_arrive_rounded():
    bus = units()
    bus.world.set("bin", "distance", Fraction("901.25"))
    bus.world.set("bin", "temperature", Fraction("-10.05"))
    assert ask(bus, request(12, 3, 5, 2)).registers == [9012, 0x10000 - 100]
    bus.world.set("bin", "distance", None)
    assert ask(bus, request(12, 3, 5, 1)).registers == [0xFFFF]


def test_large_counters_arrive_whole():
    bus = units(overrides={"heat": {"initial": {"energy_raw": 2**32 - 1, "volume_raw": 2**24 + 1}}})
    assert ask(bus, request(5, 3, 0, 2)).registers == [0xFFFF, 0xFFFF]
    assert ask(bus, request(5, 3, 10, 2)).registers == [0x0100, 0x0001]


def test_coils():
    bus = units()
    bus.world.set("valve", "relay_2", 1)
    bus.world.set("valve", "relay_8", 1)
    assert ask(bus, request(3, 1, 0, 8)).bits == [False, True] + 5 * [False] + [True]
    assert ask(bus, request(3, 1, 1, 1)).bits[0] is True


def test_half_a_value_can_be_read():
    bus = units()
    bus.world.set("meter", "voltage_l1", 230)
    bus.world.set("meter", "voltage_l2", 230)
    assert ask(bus, request(1, 4, 1, 2)).registers == [0x0000, 0x4366]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (request(1, 3, 0, 2), 1),  # the meter has no holding registers
        (request(3, 4, 0, 1), 1),
        (frame(1, 6, 0, 0, 0, 1), 1),
        (frame(1, 0x2B, 0x0E, 1, 0), 1),
        (frame(1, 7), 1),
        (request(1, 4, 0x5A, 2), 2),
        (request(12, 3, 4, 2), 2),
        (request(1, 4, 0x2A, 4), 2),  # a value and a hole
        (request(3, 1, 4, 8), 2),
        (request(1, 4, 65_535, 2), 2),
        (request(1, 4, 0, 0), 3),
        (request(1, 4, 0, 126), 3),
        (request(1, 4, 0, 81), 3),  # more than the meter bears
        (request(3, 1, 0, 9), 3),
        (frame(1, 4, 0, 0, 0, 2, 0), 3),
        (frame(1, 4, 0, 0, 0), 3),
        (frame(3, 5, 0, 0, 0x55, 0), 3),
        (frame(3, 15, 0, 0, 0, 3, 2, 5, 0), 3),
    ],
)
def test_refusals(sent, expected):
    bus = units()
    assert code(ask(bus, sent)) == expected


def test_cap_can_answer_with_an_illegal_address():
    bus = units()
    meter = bus.unit("meter")
    meter.max_registers, meter.cap_exception = 50, 2
    meter.reserved_gap = 2
    assert code(ask(bus, request(1, 4, 0, 51))) == 2
    assert code(ask(bus, request(1, 4, 0, 50))) == 0


def test_reserved_places_read_as_zero_where_declared():
    bus = units()
    meter = bus.unit("meter")
    assert code(ask(bus, request(1, 4, 0x2A, 8))) == 2
    meter.reserved_gap = 2
    words = ask(bus, request(1, 4, 0x2A, 8)).registers
    assert words[2:4] == [0, 0]
    assert words[0] != 0 and words[4] != 0
    assert code(ask(bus, request(1, 4, 0x58, 2))) == 2  # behind the last of a run
    for meter.reserved_gap in (2, 3):
        assert code(ask(bus, request(1, 4, 0x4E, 8))) == 2  # a hole of four
    meter.reserved_gap = 4
    assert ask(bus, request(1, 4, 0x4E, 8)).registers[2:6] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "sent", [b"", b"\x01\x04", request(1, 4, 0, 2)[:-1] + b"\x00", request(9, 4, 0, 2), b"\x00" * 300]
)
def test_no_answer(sent):
    assert units().answer(sent, 0) == []


ANY_BUS = units()


@given(st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_bytes_with_a_good_checksum_are_borne(body):
    bus = ANY_BUS
    for unit in (1, 3, 12):
        for sent in (frame(unit, *body), frame(*body)):
            for _, reply, _ in bus.answer(sent, 0):
                assert FramerRTU.check_CRC(reply[:-2], int.from_bytes(reply[-2:], "big"))


def test_a_written_coil_is_kept_and_turns_the_valve():
    bus = units()
    world = bus.world
    assert bus.answer(frame(3, 5, 0, 0, 0xFF, 0), 10 * SECOND)[0][1] == frame(3, 5, 0, 0, 0xFF, 0)
    assert ask(bus, request(3, 1, 0, 8), 10 * SECOND).bits == [True] + 7 * [False]
    assert world.device("bed").bed.flow == 0
    world.advance(11 * SECOND)
    world.device("bed").bed.catch_up()
    assert world.device("bed").bed.flow > 0
    ask(bus, frame(3, 15, 0, 0, 0, 8, 1, 0b1010_0000), 13 * SECOND)
    assert ask(bus, request(3, 1, 0, 8), 9_000 * SECOND).bits == [False] * 5 + [True, False, True]
    world.device("bed").bed.catch_up()
    assert world.device("bed").bed.flow == 0


def test_broadcast_reaches_everybody_who_can_and_is_not_answered():
    rows = [*ROWS, ("valve-2", "waveshare-relay8", 4)]
    bus = units(rows=rows, profiles={**PROFILES, "valve-2": PROFILES["valve"]})
    bus.silence("valve-2")
    assert bus.answer(frame(0, 5, 0, 3, 0xFF, 0), 0) == []
    bus.revive("valve-2")
    assert [ask(bus, request(unit, 1, 3, 1)).bits[0] for unit in (3, 4)] == [True, False]
    assert bus.answer(frame(0, 5, 0, 3, 0xFF, 0), 0) == []
    assert ask(bus, request(4, 1, 3, 1)).bits[0] is True
    assert bus.answer(request(0, 4, 0, 2), 0) == []


def test_registers_are_writable_where_declared():
    bus = units()
    assert code(ask(bus, frame(12, 6, 0, 7, 0, 215))) == 1
    bus.unit("bin").writable.add("external_temperature")
    assert ask(bus, frame(12, 6, 0, 7, 0, 215)).registers == [215]
    assert code(ask(bus, frame(12, 6, 0, 5, 0, 1))) == 2
    assert code(ask(bus, frame(12, 16, 0, 6, 0, 2, 4, 0, 1, 0, 1))) == 2
    assert ask(bus, frame(12, 16, 0, 7, 0, 1, 2, 0xFF, 0x9B)).count == 1
    assert ask(bus, request(12, 3, 7, 1), 9_999 * SECOND).registers == [0xFF9B]


def test_values_stand_still_within_a_second():
    bus = units()
    sent = request(1, 4, 0, 6)
    first = bus.answer(sent, 5 * SECOND)[0][1]
    assert bus.answer(sent, 6 * SECOND - 1)[0][1] == first
    assert bus.answer(sent, 6 * SECOND)[0][1] != first


def test_a_device_without_value_or_marker_fails():
    bus = units()
    bus.world.set("bin", "temperature", None)
    assert code(ask(bus, request(12, 3, 5, 2))) == 4
    assert code(ask(bus, request(12, 3, 5, 1))) == 0


def test_truth_log_is_what_was_on_the_wire():
    bus = units()
    ask(bus, request(1, 4, 0, 2))
    assert bus.truth_log == []
    bus.record_truth = True
    words = ask(bus, request(1, 4, 0, 3), 33_333_333).registers
    exact = Fraction(struct.unpack(">f", struct.pack(">2H", *words[:2]))[0])
    assert bus.truth_log == [("meter", "voltage_l1", 33_333_333, exact)]  # half of voltage_l2 is no value
    bus.world.set("bin", "distance", None)
    ask(bus, request(12, 3, 5, 1), 40_000_000)
    ask(bus, request(12, 3, 0, 1), 41_000_000)
    assert bus.truth_log[1:] == [("bin", "distance", 40_000_000, None)]


def test_silenced_devices_say_nothing():
    bus = units()
    bus.silence("meter")
    assert bus.answer(request(1, 4, 0, 2), 0) == []
    assert len(bus.answer(request(2, 4, 0, 2), 0)) == 1
    bus.revive("meter")
    assert len(bus.answer(request(1, 4, 0, 2), 0)) == 1
    with pytest.raises(KeyError, match="meter, flat"):
        bus.silence("bed")


def test_faults_change_answers_in_turn():
    bus = units()
    good = bus.answer(request(1, 4, 0, 2), 0)[0][1]
    bus.faults.append(lambda unit, reply, delay: [(reply[:3], 7), (reply[3:], delay + 9)] if unit == 1 else [])
    bus.faults.append(lambda unit, reply, delay: [(reply.upper(), delay * 10)])
    assert [reply for _, reply, _ in bus.answer(request(1, 4, 0, 2), 0)] == [good[:3].upper(), good[3:].upper()]
    assert bus.answer(request(1, 4, 0, 2), 0)[0][2] == 70
    assert bus.answer(request(2, 4, 0, 2), 0) == []


def test_delays_are_whole_milliseconds_within_the_limits_and_repeatable():
    def delays(seed):
        bus = units(seed)
        return [bus.answer(request(5, 3, 8, 2), n * SECOND)[0][2] for n in range(300)]

    first = delays(7)
    assert delays(7) == first != delays(8)
    assert {delay % 1000 for delay in first} == {0}
    assert min(first) >= 44_000 and max(first) <= 56_000 and len(set(first)) > 5


def test_two_devices_with_one_unit_are_refused():
    with pytest.raises(ValueError, match="both have unit 1"):
        units(rows=[*ROWS, ("again", "eastron-sdm630", 1)], profiles={**PROFILES, "again": PROFILES["meter"]})


def test_devices_of_other_buses_are_not_here():
    bus = units()
    assert bus.device_ids == ["meter", "flat", "valve", "heat", "bin"]
