"""The devices on the bus, asked and understood by pymodbus and struct."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from satama.profiles.library import list_profiles, load_profile
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
    bus = ModbusUnits(compiled, build_world(compiled, seed, JUNE, overrides), "rs485")
    for device, profile, _ in rows:
        if profile == "waveshare-relay8":
            bus.unit(device).writable.update(f"relay_{n}" for n in range(1, 9))
            bus.unit(device).also.add(15)
    return bus


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
    bus.unit("meter").reserved_gap = bus.unit("bin").reserved_gap = 0
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
    assert code(ask(bus, request(1, 4, 0, 80))) == 0, "its profile says that holes can be read"
    assert code(ask(bus, request(1, 4, 65_000, 2))) == 2, "but there is nothing behind the last point"
    meter.reserved_gap = 0
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
@settings(max_examples=300)
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


def test_a_test_can_declare_registers_writable(tmp_path):
    bus = made(tmp_path, point("a", 5) + point("b", 7, "s16", more="scale = 0.1"))
    assert code(ask(bus, frame(1, 6, 0, 7, 0, 215))) == 1
    bus.unit("it").writable.add("b")
    assert ask(bus, frame(1, 6, 0, 7, 0, 215)).registers == [215]
    assert code(ask(bus, frame(1, 6, 0, 5, 0, 1))) == 2
    assert code(ask(bus, frame(1, 16, 0, 6, 0, 2, 4, 0, 1, 0, 1))) == 2
    assert ask(bus, frame(1, 16, 0, 7, 0, 1, 2, 0xFF, 0x9B)).count == 1
    assert ask(bus, request(1, 3, 7, 1), 9_999 * SECOND).registers == [0xFF9B]


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
    ask(bus, request(12, 3, 500, 1), 41_000_000)
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


# --- a made-up device with a bit of everything

HEAD = """
name = "made-up"
vendor = "Satama"
model = "test device"
kind = "test"
interface = "modbus"
sources = ["made up"]

[serial]
baud = 9600
parity = "N"
stop_bits = 1

[limits]
max_registers = 100
gap_ms = 10
turnaround_ms = 40
timeout_ms = 2000
"""


def point(name, address, type_="u16", quantity="raw_value", unit="", function=3, more=""):
    return f"""
[[point]]
name = "{name}"
quantity = "{quantity}"
unit = "{unit}"
function = {function}
address = {address}
type = "{type_}"
source = "made up"
{more}
"""


def made(tmp_path, text, head=HEAD, seed=7):
    """A bus with one device of a profile made up for the test: unit 1, named "it"."""
    path = tmp_path / "made-up.toml"
    path.write_text(head + text)
    return units(seed, rows=[("it", str(path), 1)], profiles={"it": load_profile(path)})


def words(bus, address, count, function=3):
    return ask(bus, request(1, function, address, count)).registers


def test_slices_of_bits_share_a_register_with_a_whole_value(tmp_path):
    bus = made(
        tmp_path,
        point("all", 10, more="range = [0, 65535]")
        + point("low", 10, more="bits = [0, 4]")
        + point("high", 10, more="bits = [12, 4]")
        + point("wide", 11, "u32", more="bits = [8, 16]"),
    )
    for name, value in (("all", 0x5555), ("low", 3), ("high", 15), ("wide", 0xABCD)):
        bus.world.set("it", name, value)
    assert words(bus, 10, 3) == [0xF553, 0x00AB, 0xCD00]
    bus.world.set("it", "high", 1)
    assert words(bus, 10, 1) == [0x1553]
    bus.record_truth = True
    words(bus, 10, 3)
    assert {name: value for _, name, _, value in bus.truth_log} == {
        "all": 0x1553,
        "low": 3,
        "high": 1,
        "wide": 0xABCD,
    }


def test_a_slice_without_value_shows_the_marker_in_all_of_its_register(tmp_path):
    bus = made(
        tmp_path,
        point("low", 10, more="bits = [0, 4]\ninvalid = [0xFFFF]") + point("high", 10, more="bits = [12, 4]"),
    )
    bus.world.set("it", "high", 2)
    bus.world.set("it", "low", None)
    assert words(bus, 10, 1) == [0x2FFF], "the slices are laid over it in their order"


def test_decimal_digits_texts_and_byte_orders(tmp_path):
    bus = made(
        tmp_path,
        point("digits", 0, "bcd32", more="scale = 0.01\nexponent = -2\nrange = [0, 999999]")
        + point("swapped", 2, "u32", more='byte_order = "little"\nword_order = "little"')
        + point("mode", 4, "string", "charge_state", more="length = 2\nstates = { A = 0, C2 = 5 }")
        + point("manufacturer", 6, "string", "identity", more="length = 4"),
    )
    bus.world.set("it", "digits", Fraction("1234.56"))
    bus.world.set("it", "swapped", 0x01020304)
    bus.world.set("it", "mode", 5)
    shown = words(bus, 0, 10)
    assert shown[:6] == [0x0012, 0x3456, 0x0403, 0x0201, 0x4332, 0]
    assert b"".join(word.to_bytes(2, "big") for word in shown[6:]) == b"Satama\0\0"


def test_scale_registers_move_with_the_values_that_need_them(tmp_path):
    scaled = "scale_register = 2\nrange = [-3000, 3000]\ninvalid = [0x8000]\nexponent = -1"
    bus = made(tmp_path, point("power", 0, "s16", more=scaled) + point("other", 1, "s16", more=scaled))
    for value in (Fraction("1234.5"), Fraction(2_999), Fraction(-123_456), Fraction(900_000_000)):
        bus.world.set("it", "power", value)
        bus.world.set("it", "other", 100)
        raw, other, scale = (word - 65536 if word & 0x8000 else word for word in words(bus, 0, 3))
        unit = Fraction(10) ** scale
        assert abs(raw * unit - value) <= unit / 2
        assert abs(other * unit - 100) <= unit / 2
    bus.world.set("it", "power", None)
    assert words(bus, 0, 1) == [0x8000]


def test_writing_keeps_to_the_bounds_and_is_all_or_nothing(tmp_path):
    bus = made(
        tmp_path,
        point("limit", 0, more="scale = 0.1\nexponent = -1\nwrite = { function = 16, range = [6, 32] }")
        + point("mode", 1, more="write = { function = 16, values = [0, 3] }")
        + point("seen", 2),
    )
    before = words(bus, 0, 2)
    assert code(ask(bus, frame(1, 16, 0, 0, 0, 2, 4, 0, 100, 0, 2))) == 3, "2 is no mode"
    assert words(bus, 0, 2) == before
    assert code(ask(bus, frame(1, 16, 0, 0, 0, 2, 4, 0, 100, 0, 3))) == 0
    assert words(bus, 0, 2) == [100, 3]
    assert code(ask(bus, frame(1, 16, 0, 0, 0, 1, 2, 0, 59))) == 3
    assert code(ask(bus, frame(1, 16, 0, 2, 0, 1, 2, 0, 59))) == 2, "not writable"
    assert code(ask(bus, frame(1, 6, 0, 0, 0, 100))) == 1, "the profile names function 16"
    assert words(bus, 0, 2) == [100, 3]


def test_mask_write_and_read_write(tmp_path):
    bus = made(
        tmp_path,
        point("a", 0, more="write = { function = 6, range = [0, 65535] }")
        + point("low", 1, more="bits = [0, 8]")
        + point("high", 1, more="bits = [8, 8]"),
    )
    assert code(ask(bus, frame(1, 22, 0, 0, 0, 0xF2, 0, 0x25))) == 1
    bus.unit("it").also |= {22, 23}
    bus.unit("it").writable.add("low")
    bus.world.set("it", "high", 7)
    ask(bus, frame(1, 6, 0, 0, 0x12, 0x34))
    sent = frame(1, 22, 0, 0, 0xFF, 0xF2, 0, 0x25)
    assert bus.answer(sent, 0)[0][1] == sent
    assert words(bus, 0, 1) == [0x1234 & 0xFFF2 | 0x25 & ~0xFFF2]
    pdu = ask(bus, frame(1, 23, 0, 0, 0, 2, 0, 1, 0, 1, 2, 0x99, 42))
    assert pdu.registers == [0x1235, 7 << 8 | 42], "the write comes first; only the writable slice obeys"
    assert code(ask(bus, frame(1, 23, 0x10, 0, 0, 2, 0, 1, 0, 1, 2, 0, 1))) == 2
    assert words(bus, 1, 1) == [7 << 8 | 42], "nothing is written when the read is refused"


@pytest.mark.parametrize(
    ("identity", "sent", "there"),
    [
        ('object = 1\ncontains = "EM24"', frame(1, 0x2B, 0x0E, 1, 0), b"\x01\x04EM24"),
        ('object = 0x80\ncontains = "rev B"', frame(1, 0x2B, 0x0E, 4, 0x80), b"\x80\x05rev B"),
        ('server_id = "EM24"', frame(1, 17), b"EM24"),
        ('function = 3\naddress = 11\ntype = "u16"\nvalue = [1648, 1649]', request(1, 3, 11, 1), b"\x06\x70"),
        ('function = 4\naddress = 300\ntype = "string"\ntext = "SDM"', request(1, 4, 300, 2), b"SDM\0"),
    ],
)
def test_who_it_is(tmp_path, identity, sent, there):
    bus = made(tmp_path, point("a", 0), HEAD + "[identity]\n" + identity + "\n")
    ((_, reply, _),) = bus.answer(sent, 0)
    assert there in reply and not reply[1] & 0x80
    for other in (frame(1, 0x2B, 0x0E, 1, 0), frame(1, 17)):
        assert other[1] == sent[1] or code(ask(bus, other)) == 1


def test_device_identification_is_strict(tmp_path):
    bus = made(tmp_path, point("a", 0), HEAD + '[identity]\nobject = 0\ncontains = "Satama"\n')
    assert code(ask(bus, frame(1, 0x2B, 0x0E, 0, 0))) == 3
    assert code(ask(bus, frame(1, 0x2B, 0x0E, 5, 0))) == 3
    assert code(ask(bus, frame(1, 0x2B, 0x0D, 1, 0))) == 1
    assert code(ask(bus, frame(1, 0x2B, 0x0E, 4, 9))) == 2
    assert ask(bus, frame(1, 0x2B, 0x0E, 1, 0)).information == {0: b"Satama", 1: b"test device", 2: b"1.0"}


def test_holes_and_forbidden_places(tmp_path):
    text = point("a", 0) + point("b", 10) + point("c", 50) + point("d", 51, more="range = [0, 9]")
    bus = made(tmp_path, text)
    assert len(words(bus, 0, 52)) == 52 and words(bus, 1, 9) == [0] * 9
    closed = made(tmp_path, text, HEAD.replace("[limits]", '[limits]\nholes = "illegal"'))
    assert [code(ask(closed, request(1, 3, at, n))) for at, n in ((0, 1), (0, 2), (10, 41), (50, 2))] == [0, 2, 2, 0]
    fenced = made(
        tmp_path, text, HEAD.replace("[limits]", "[limits]\nforbidden = [{ function = 3, first = 20, last = 29 }]")
    )
    reads = ((0, 20), (0, 21), (20, 1), (29, 2), (30, 21))
    assert [code(ask(fenced, request(1, 3, at, n))) for at, n in reads] == [0, 2, 2, 2, 0]
    assert code(ask(fenced, request(1, 4, 0, 1))) == 1


def test_a_slow_value_takes_its_time(tmp_path):
    bus = made(tmp_path, point("quick", 0) + point("slow", 1, more="turnaround_ms = 700\ntimeout_ms = 1500"))

    def took(address, count):
        return bus.answer(request(1, 3, address, count), 0)[0][2]

    assert 35_000 <= took(0, 1) <= 45_000
    assert 695_000 <= took(1, 1) <= 705_000
    assert 695_000 <= took(0, 2) <= 705_000
    bus.faults.append(lambda unit, reply, delay: [(reply, delay + 1)])
    assert took(0, 1) == bus.usual_us + 1


def test_a_restarted_device_is_silent_and_has_forgotten(tmp_path):
    bus = made(tmp_path, point("a", 0, more="write = { function = 6, range = [0, 65535] }"))
    before = words(bus, 0, 1)
    assert before != [65535]
    ask(bus, frame(1, 6, 0, 0, 0xFF, 0xFF))
    assert words(bus, 0, 1) == [65535]
    bus.reboot("it", 5 * SECOND)
    assert bus.answer(request(1, 3, 0, 1), 5 * SECOND - 1) == []
    assert ask(bus, request(1, 3, 0, 1), 5 * SECOND).registers != [65535]


def test_everything_any_profile_describes_can_be_read():
    for name in list_profiles():
        profile = load_profile(name)
        if profile.interface != "modbus" or profile.sunspec:
            continue
        bus = units(rows=[("it", name, 1)], profiles={"it": profile})
        for one in profile.points:
            if one.function:
                pdu = ask(bus, request(1, one.function, one.address, one.registers))
                assert not pdu.isError(), (name, one.name, pdu)
