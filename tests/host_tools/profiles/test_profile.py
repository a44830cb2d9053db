"""Device types: those that come with Satama are sound, and a mistake in one is shown at its line."""

import struct
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from satama.core.problems import Problems
from satama.core.quantities import QUANTITIES
from satama.profiles.library import list_profiles, load_profile
from satama.profiles.profile import Point

MODBUS = """\
name = "thermometer"
vendor = "nobody"
model = "T1"
kind = "env_sensor"
interface = "modbus"
sources = ["invented for a test"]

[serial]
baud = 9600
parity = "N"
stop_bits = 1
unit = 1

[limits]
max_registers = 10
gap_ms = 5
turnaround_ms = 3
timeout_ms = 200

[[point]]
name = "t"
quantity = "temperature"
unit = "Cel"
function = 4
address = 7
type = "s16"
scale = 0.01
invalid = [0x7FFF]
range = [-40, 85]
source = "invented"

[[point]]
name = "alarm"
quantity = "contact_state"
unit = ""
function = 2
address = 0
type = "bool"
source = "invented"
"""
PULSE = """\
name = "drops"
vendor = "nobody"
model = "P1"
kind = "water_meter"
interface = "pulse"
sources = ["invented for a test"]

[pulse]
edge = "falling"
debounce_ms = 5
max_hz = 10

[[point]]
name = "volume"
quantity = "volume"
unit = "l"
per_pulse = "1/450"
exponent = -3
source = "invented"
"""

TCP = MODBUS.replace(MODBUS[MODBUS.index("[serial]") : MODBUS.index("[limits]")], "[tcp]\nunit = 1\n\n")
STATION = """\
[[point]]
name = "state"
quantity = "charge_state"
unit = ""
function = 3
address = 20
type = "u32"
bits = [8, 7]
states = { "0" = "idle", "4" = "charging" }
source = "invented"

[[point]]
name = "mode"
quantity = "charge_state"
unit = ""
function = 3
address = 30
type = "string"
length = 5
states = { A = 0, B1 = 1 }
source = "invented"

[[point]]
name = "serial"
quantity = "serial_number"
unit = ""
function = 3
address = 40
type = "string"
length = 8
source = "invented"

[[point]]
name = "limit"
quantity = "current_limit"
unit = "A"
function = 3
address = 50
type = "u16"
scale = 0.1
class = "alarm"
write = { function = 6, range = [6, 32], values = [0] }
source = "invented"

[[point]]
name = "start"
quantity = "command"
unit = ""
address = 60
type = "u16"
write = { function = 16, values = [1] }
source = "invented"

[[point]]
name = "power"
quantity = "active_power"
unit = "W"
function = 3
address = 70
type = "s16"
scale_register = 72
byte_order = "little"
invalid = [0x8000, { mask = 0xFF00, value = 0x7F00 }]
max_rate = 100
source = "invented"

[[point]]
name = "energy"
quantity = "active_energy_import"
unit = "kWh"
function = 3
address = 80
type = "bcd32"
word_order = "little"
byte_order = "little"
rollover = 999999.99
timeout_ms = 800
doubt = "Invented."
source = "invented"
"""
H1 = """\
name = "port"
vendor = "nobody"
model = "H"
kind = "electricity_meter"
interface = "h1"
sources = ["invented for a test"]

[telegram]
interval_s = 10

[[point]]
name = "energy_import"
quantity = "active_energy_import"
unit = "Wh"
obis = "1-0:1.8.0"
telegram_unit = "kWh"
scale = 1000
source = "invented"
"""
STREAM = """\
name = "talker"
vendor = "nobody"
model = "S"
kind = "distance_sensor"
interface = "stream"
sources = ["invented for a test"]

[serial]
baud = 9600
parity = "N"
stop_bits = 1

[stream]
header = [0xFF]
length = 4
checksum = "sum8"
interval_s = 0.3

[[point]]
name = "distance"
quantity = "distance"
unit = "mm"
address = 1
type = "u16"
source = "invented"
"""
ANALOG = """\
name = "probe"
vendor = "nobody"
model = "A1"
kind = "analog_sensor"
interface = "analog"
sources = ["invented for a test"]

[analog]
samples = 4

[[point]]
name = "level"
quantity = "level"
unit = "mm"
calibration = [[2540000, 0], [1270000, 100]]
source = "invented"
"""


def load(tmp_path, text, name="thermometer"):
    path = tmp_path / f"{name}.toml"
    path.write_text(text)
    return load_profile(f"{name}.toml", tmp_path)


def here(text):
    """The line marked # HERE."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if line.endswith("# HERE"))


@pytest.mark.parametrize("name", list_profiles())
def test_every_profile_of_ours_is_sound(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.points


def test_the_full_map_of_the_sdm630():
    points = load_profile("eastron-sdm630").points
    assert len(points) == 69
    assert {(p.function, p.type, p.registers, p.word_order) for p in points} == {(4, "f32", 2, "big")}
    assert len({p.address for p in points}) == 69 and all(p.address % 2 == 0 for p in points)
    assert {p.name: p.address for p in points}["reactive_energy_total_l3"] == 380


def test_values_of_a_profile_are_exact(tmp_path):
    t = load(tmp_path, MODBUS).point("t")
    assert (t.scale, t.exponent, t.kind) == (Decimal("0.01"), -1, "gauge")  # the last two are the quantity's own
    assert (t.range, t.invalid, t.registers, t.klass) == ((-40, 85), [0x7FFF], 1, 2)
    volume = load(tmp_path, PULSE, "drops").point("volume")
    assert (volume.per_pulse, volume.kind, volume.registers, volume.klass) == (Fraction(1, 450), "counter", 0, 1)
    assert load(tmp_path, MODBUS).point("u") is None


@pytest.mark.parametrize(
    ("old", "new", "what", "hint"),
    [
        ("scale = 0.01", "scal = 0.01  # HERE", "unknown key 'scal'", "did you mean 'scale'?"),
        ("max_registers = 10", "max_register = 10  # HERE", "unknown key 'max_register'", "max_registers"),
        ('unit = "Cel"', 'unit = "K"  # HERE', 'unit = "K" does not fit', '"Cel"'),
        ('quantity = "temperature"', 'quantity = "temprature"  # HERE', "not a known quantity", "'temperature'"),
        ("address = 7", 'address = "7"  # HERE', "address", "0..65535"),
        ("address = 7", "address = 65536  # HERE", "out of range", "0..65535"),
        ("function = 4", "function = 6  # HERE", "not one of the choices", "4"),
        ("function = 4", "function = 2  # HERE", "cannot read type s16", "3 or 4"),
        ('type = "s16"', 'type = "i16"  # HERE', "not one of the choices", "s16"),
        ("scale = 0.01", "scale = 0  # HERE", "makes no sense", "not 0"),
        ("scale = 0.01", "scale = inf  # HERE", "finite", ""),
        ("scale = 0.01", 'scale = "0.01"  # HERE', "must be a number", "exact factor"),
        ("invalid = [0x7FFF]", "invalid = [-1]  # HERE", "not a raw pattern", "0xffff"),
        ("invalid = [0x7FFF]", 'invalid = ["NaN"]  # HERE', "no NaN", "0x7FFF"),
        ("range = [-40, 85]", "range = [85, -40]  # HERE", "not below", ""),
        ('name = "alarm"', 'name = "t"  # HERE', "another point has this name", "unique"),
        ('name = "alarm"', 'name = "door/alarm"  # HERE', "not a valid name", "A-Z"),
        ("stop_bits = 1", "stop_bits = 3  # HERE", "not one of the choices", "1, 2"),
        ("baud = 9600", "baud = 9601  # HERE", "not a usual baud rate", "nearest is 9600"),
        ('name = "thermometer"', 'name = "barometer"  # HERE', "the file is thermometer.toml", "thermometer"),
    ],
)
def test_a_mistake_is_shown_at_its_line(tmp_path, old, new, what, hint):
    text = MODBUS.replace(old, new, 1)
    assert text != MODBUS
    with pytest.raises(Problems) as caught:
        load(tmp_path, text)
    [problem] = caught.value.problems
    assert problem.line == here(text)
    assert what in problem.what
    assert hint in problem.hint
    assert str(problem).startswith(f"{problem.file}:{problem.line}: ")


def test_what_an_interface_needs_and_must_not_have(tmp_path):
    analog = PULSE.replace('"pulse"', '"analog"')
    with pytest.raises(Problems) as caught:
        load(tmp_path, analog, "drops")
    told = "\n".join(p.what for p in caught.value.problems)
    assert "needs [analog]" in told and "must not have [pulse]" in told
    assert "needs 'calibration'" in told and "must not have 'per_pulse'" in told
    lacking = MODBUS[: MODBUS.index("[serial]")] + MODBUS[MODBUS.index("[limits]") :]
    with pytest.raises(Problems, match="needs \\[serial\\], \\[tcp\\] or both"):
        load(tmp_path, lacking)
    with pytest.raises(Problems, match="must not have 'scale'"):
        load(tmp_path, PULSE + "scale = 1\n", "drops")


@pytest.mark.parametrize("ratio", ['"1/0"', '"one"', "0", "-1", "true", '"-1/2"'])
def test_units_per_pulse_are_positive(tmp_path, ratio):
    with pytest.raises(Problems, match="per_pulse"):
        load(tmp_path, PULSE.replace('"1/450"', ratio), "drops")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[[2540000, 0]]", "has 1 points"),
        ("[[1000000, 0], [1000000, 100]]", "must rise, or fall"),
        ("[[1000000, 0], [1200000, 50], [1100000, 100]]", "must rise, or fall"),
        ("[[1000000, 7], [1270000, 7]]", "same value"),
        ("[[-1, 0], [1270000, 100]]", "from 0 to 5000000"),
        ("[[2540000.0, 0], [1, 2]]", "whole numbers"),
        ("[[1000000, 0.5], [1270000, 100]]", "more digits"),
        ("5", "is not a list of points"),
        (str([[x, x] for x in range(17)]), "has 17 points"),
    ],
)
def test_a_calibration_is_a_line_of_points(tmp_path, line, what):
    assert load(tmp_path, ANALOG, "probe").point("level").calibration == ((2540000, 0), (1270000, 100))
    table = ANALOG.replace("[[2540000, 0], [1270000, 100]]", "[[0, 3], [100, 5], [900, 4]]")
    assert load(tmp_path, table, "probe").point("level").calibration == ((0, 3), (100, 5), (900, 4))
    with pytest.raises(Problems, match=what):
        load(tmp_path, ANALOG.replace("[[2540000, 0], [1270000, 100]]", line), "probe")


def test_a_loop_needs_no_calibration_and_a_share_of_the_supply_is_at_most_all_of_it(tmp_path):
    bare = ANALOG.replace("calibration = [[2540000, 0], [1270000, 100]]\n", "")
    with pytest.raises(Problems, match="needs 'calibration'"):
        load(tmp_path, bare, "probe")
    loop = load(tmp_path, bare.replace("samples = 4", "loop_ohm = 100"), "probe")
    assert (loop.analog.loop_ohm, loop.point("level").calibration) == (100, None)
    with pytest.raises(Problems, match="more than all of it"):
        load(tmp_path, ANALOG.replace("samples = 4", "ratiometric = true"), "probe")
    with pytest.raises(Problems, match="not ratiometric"):
        load(tmp_path, bare.replace("samples = 4", "ratiometric = true\nloop_ohm = 100"), "probe")


def test_a_missing_profile_is_told_with_the_likely_one():
    with pytest.raises(Problems, match="did you mean 'eastron-sdm630'"):
        load_profile("eastron-sdm360")
    with pytest.raises(Problems, match="there is no such profile"):
        load_profile("elsewhere/eastron-sdm630.toml")


# --- every kind of value


def station(tmp_path, old="", new=""):
    text = MODBUS[: MODBUS.index("[[point]]")].replace("max_registers = 10", "max_registers = 20") + STATION
    assert old in text
    return load(tmp_path, text.replace(old, new, 1) if old else text)


def test_what_a_point_can_say(tmp_path):
    profile = station(tmp_path)
    state, mode, serial, limit, start, power, energy = profile.points
    assert (state.bits, state.names, state.kind, state.order) == ((8, 7), {0: "idle", 4: "charging"}, "state", "ABCD")
    assert (mode.registers, mode.states, mode.names, mode.kind) == (5, {"A": 0, "B1": 1}, {0: "A", 1: "B1"}, "state")
    assert (serial.registers, serial.kind, serial.readable) == (8, "text", True)
    assert (limit.klass, limit.write.range, limit.write.values) == (0, (6, 32), [0])
    assert (start.readable, start.function, limit.readable) == (False, None, True)
    assert power.invalid == [0x8000, (0xFF00, 0x7F00)] and power.invalid[1].mask == 0xFF00
    assert (power.scale_register, power.order, power.max_rate) == (72, "BADC", 100)
    assert (energy.registers, energy.order, energy.rollover, energy.timeout_ms) == (
        2,
        "DCBA",
        Decimal("999999.99"),
        800,
    )
    assert list(profile.doubts()) == [("energy", "Invented.")]


def test_text_of_any_type_is_only_shown(tmp_path):
    """A string without states is a text whatever its quantity; a number is one by its quantity."""
    text = station(tmp_path, 'quantity = "serial_number"', 'quantity = "status"')
    assert text.point("serial").kind == "text"
    number = station(tmp_path, 'type = "string"\nlength = 8', 'type = "u32"')
    assert number.point("serial").kind == "text"


def test_a_device_may_have_a_network_socket_instead_of_a_serial_port(tmp_path):
    profile = load(tmp_path, TCP)
    assert (profile.serial, profile.tcp.port, profile.tcp.unit, profile.limits.holes) == (None, 502, 1, "readable")


def test_devices_that_talk_by_themselves(tmp_path):
    energy = load(tmp_path, H1, "port").point("energy_import")
    assert (energy.obis, energy.telegram_unit, energy.scale, energy.unit) == ("1-0:1.8.0", "kWh", 1000, "Wh")
    talker = load(tmp_path, STREAM, "talker")
    assert (talker.stream.header, talker.stream.length, talker.stream.interval_s) == ([255], 4, Decimal("0.3"))
    assert talker.point("distance").readable


def test_sunspec_and_identity(tmp_path):
    found = station(tmp_path, "[limits]", "[sunspec]\nmodel = 103\n[limits]")
    assert (found.sunspec.model, found.sunspec.bases) == (103, [40000, 0, 50000])
    for probe in (
        'function = 3\naddress = 11\ntype = "u16"\nvalue = [1648, 1649]',
        'function = 4\naddress = 0\ntype = "string"\ntext = "EM"',
        'object = 0\ncontains = "ABB"',
        'server_id = "EM24"',
    ):
        assert load(tmp_path, MODBUS.replace("[limits]", f"[identity]\n{probe}\n[limits]")).identity


FORBIDDEN = "timeout_ms = 200\nforbidden = [{ function = 3, first = 45, last = 50 }]"
WRONG = {
    "a value beyond the last address": ("address = 20\n", "address = 65535\n", "end beyond 65535", "check the address"),
    "no published value within the range": (
        "max_rate = 100\n",
        "max_rate = 100\nrange = [0.2, 0.8]\n",
        "no value that exponent = 0 publishes",
        "smaller exponent",
    ),
    "bits of a signed number": ('type = "u32"\nbits', 'type = "s32"\nbits', "without sign", '"u32"'),
    "bits beyond the type": ("[8, 7]", "[26, 7]", "not all in type u32", "below 32"),
    "no bits": ("[8, 7]", "[8, 0]", "makes no sense", "e.g. [8, 7]"),
    "bits are a pair": ("[8, 7]", "8", "not a pair", "e.g. [8, 7]"),
    "bits of a float": ('"u32"\nbits', '"f32"\nbits', "does not go with type f32", '"u16"'),
    "bits and a scale register": ("bits = [8, 7]", "bits = [8, 7]\nscale_register = 22", "go together", "one of them"),
    "a code beyond the bits": ('"4" = "charging"', '"128" = "charging"', "never gives 128", "from 0 to 127"),
    "a code that is none": ('"4" = "charging"', 'four = "charging"', "'four' is not a code", '"0" = "off"'),
    "codes twice": ('"4" = "charging"', '"0x0" = "charging"', "twice", '"0" = "off"'),
    "a state without a name": ('"4" = "charging"', '"4" = ""', "needs a name", '"0" = "off"'),
    "texts of a number": ('{ "0" = "idle", "4" = "charging" }', "{ A = 0 }", "gives numbers", '"0" = "off"'),
    "names of a text": ("{ A = 0, B1 = 1 }", '{ "0" = "A" }', "gives texts", "A = 0"),
    "a text longer than its registers": ("B1 = 1", "ABCDEFGHIJK = 1", "longer than 5 registers", "length = 6"),
    "a text that no device shows": ("B1 = 1", '"B1 " = 1', "not a text", "printable"),
    "states of a gauge": ('quantity = "charge_state"', 'kind = "gauge"\nquantity = "charge_state"', "no states", "state"),
    "a string without length": ("length = 8\n", "", "needs 'length'", "length = 8"),
    "a number with length": ("bits = [8, 7]", "length = 2\nbits = [8, 7]", "its own length", "remove"),
    "a string is no gauge": ("length = 8\n", 'length = 8\nkind = "gauge"\n', "no number", 'kind = "text"'),
    "a string too long": ("length = 8", "length = 21", "more registers than max_registers", "21 or more"),
    "words of a string": ("length = 8", 'length = 8\nword_order = "little"', "no word order", "byte_order"),
    "a range of a text": ("length = 8", "length = 8\nrange = [0, 1]", "only shown", "remove range"),
    "a write without bounds": (", range = [6, 32], values = [0]", "", "may be written", "range = [0, 100]"),
    "a write of the wrong function": ("{ function = 6, range", "{ function = 5, range", "cannot write type u16", "6 or 16"),
    "a write elsewhere": ("function = 3\naddress = 50", "function = 4\naddress = 50", "does not write where", "function = 3"),
    "a write beyond the type": ("[6, 32]", "[6, 7000]", "does not fit type u16", "bounds"),
    "a write of a fraction": ("values = [0]", "values = [0.05]", "no multiple of scale", "e.g. 0"),
    "a long write by function 6": ('type = "u16"\nscale', 'type = "u32"\nscale', "writes one register", "function = 16"),
    "a write of bits": ("bits = [8, 7]", "bits = [8, 7]\nwrite = { function = 16, values = [0] }", "not texts, bits", "remove"),
    "neither read nor written": ("write = { function = 16, values = [1] }\n", "", "needs 'function'", "write = {"),
    "a scale register too far": ("scale_register = 72", "scale_register = 90", "span 21 registers", "within 20"),
    "a scale register of a float": ('"s16"\nscale_register', '"f32"\nscale_register', "does not go with", '"u16"'),
    "a marker beyond the type": ("mask = 0xFF00, value", "mask = 0x1FF00, value", "not a raw pattern", "0xffff"),
    "a mask that never fits": ("value = 0x7F00", "value = 0x7F01", "never fits", "mask = 0xFF00"),
    "a marker that is none": ("0x8000, {", '"-", {', "not a marker", "0x7FFF"),
    "a rate of nothing": ("max_rate = 100", "max_rate = 0", "out of range", "0.5"),
    "a gauge that rolls over": ("max_rate = 100", "rollover = 100", "a gauge does not roll over", "counter"),
    "an own timeout too short": ("timeout_ms = 800", "timeout_ms = 10\nturnaround_ms = 30", "none is waited for longer", "below timeout_ms"),
    "a class of nothing": ('class = "alarm"', 'class = "urgent"', "not one of the choices", "telemetry"),
    "an empty doubt": ('doubt = "Invented."', 'doubt = ""', "too short", "sentence"),
    "no identity": ("[limits]", "[identity]\naddress = 1\n[limits]", "is no probe", "server_id"),
    "two identities": ("[limits]", '[identity]\nserver_id = "A"\nobject = 1\n[limits]', "is no probe", "server_id"),
    "a text for a number": (
        "[limits]",
        '[identity]\nfunction = 3\naddress = 1\ntype = "u16"\ntext = "A"\n[limits]',
        "goes with value",
        "server_id",
    ),
    "a forbidden place": ("timeout_ms = 200", FORBIDDEN, "touches the forbidden 45 to 50", "[limits] forbidden"),
    "a range backwards": ("timeout_ms = 200", FORBIDDEN.replace("last = 50", "last = 4"), "behind last", "first = 90"),
    "an answer after the timeout": ("turnaround_ms = 3", "turnaround_ms = 300", "longer than timeout_ms", "e.g."),
    "unknown holes": ("timeout_ms = 200", 'timeout_ms = 200\nholes = "open"', "not one of the choices", "illegal"),
    "a unit beyond a byte": ("unit = 1\n", "unit = 256\n", "out of range", "1..247"),
    "a quirk that is no text": ('sources = ["inv', 'quirks = [7]\nsources = ["inv', "must be text", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_says_field_reason_and_the_right_form(tmp_path, case):
    old, new, what, hint = WRONG[case]
    with pytest.raises(Problems) as caught:
        station(tmp_path, old, new)
    problem = caught.value.problems[0]
    assert what in problem.what and hint in problem.hint and (problem.hint or not hint)
    assert problem.line and problem.key


@pytest.mark.parametrize(
    ("form", "name", "old", "new", "what", "hint"),
    [
        (H1, "port", '"1-0:1.8.0"', '"1.8.0"', "is not an OBIS code", '"1-0:1.8.0"'),
        (H1, "port", '"1-0:1.8.0"', '"1-0:1.8.300"', "is not an OBIS code", '"1-0:1.8.0"'),
        (H1, "port", 'obis = "1-0:1.8.0"\n', "", "needs 'obis'", 'obis = "1-0:1.8.0"'),
        (H1, "port", "scale = 1000", "address = 7", "must not have 'address'", "remove"),
        (H1, "port", "[telegram]\ninterval_s = 10", "", "needs [telegram]", "interval_s = 10"),
        (H1, "port", "[telegram]", "[tcp]\n[telegram]", "must not have [tcp]", "correct interface"),
        (
            STREAM,
            "talker",
            "address = 1",
            "address = 2",
            "not between the header and the checksum",
            "byte offset 1 to 1",
        ),
        (
            STREAM,
            "talker",
            "address = 1",
            "address = 0",
            "not between the header and the checksum",
            "byte offset 1 to 1",
        ),
        (STREAM, "talker", 'type = "u16"', 'type = "bool"', "not for streams", '"u16"'),
        (STREAM, "talker", "[0xFF]", "[0x1FF]", "out of range", ""),
        (STREAM, "talker", "[0xFF]", "[1, 2, 3, 4]", "header fills the frame", "length counts"),
        (STREAM, "talker", '"sum8"', '"crc8"', "not one of the choices", "sum8"),
        (STREAM, "talker", '[serial]\nbaud = 9600\nparity = "N"\nstop_bits = 1\n', "", "needs [serial]", "baud = 9600"),
    ],
)
def test_a_mistake_in_what_talks_by_itself(tmp_path, form, name, old, new, what, hint):
    assert old in form
    with pytest.raises(Problems) as caught:
        load(tmp_path, form.replace(old, new, 1), name)
    problem = caught.value.problems[0]
    assert what in problem.what and hint in problem.hint


def test_the_same_obis_code_twice_is_refused(tmp_path):
    again = H1[H1.index("[[point]]") :].replace('"energy_import"', '"energy"', 1)
    with pytest.raises(Problems, match="another point has 1-0:1"):
        load(tmp_path, H1 + again, "port")


def test_sunspec_models_stand_in_holding_registers(tmp_path):
    with pytest.raises(Problems, match="SunSpec models stand in holding registers"):
        load(tmp_path, MODBUS.replace("[limits]", "[sunspec]\nmodel = 103\n[limits]"))


# --- properties of the form

TYPES = {"u16": 16, "s16": 16, "u32": 32, "s32": 32, "u64": 64, "s64": 64, "bcd16": 16, "bcd32": 32, "bcd64": 64}


def point(**facts):
    given = {"name": "p", "quantity": "raw_value", "unit": "", "function": 3, "address": 0, "source": "t", **facts}
    return Point.model_validate(given)


@given(st.sampled_from(sorted(TYPES)), st.sampled_from(["big", "little"]), st.sampled_from(["big", "little"]))
def test_the_order_puts_every_byte_in_its_place(kind, word_order, byte_order):
    """Each half of the order's letters says what the file says: which word is first, which byte of a word."""
    p = point(type=kind, word_order=word_order, byte_order=byte_order)
    assert p.registers * 16 == TYPES[kind]
    value = bytes(range(1, 2 * p.registers + 1))  # most significant first
    words = [value[at : at + 2] for at in range(0, len(value), 2)]
    if word_order == "little":
        words.reverse()
    wire = b"".join(w if byte_order == "big" else w[::-1] for w in words)
    # what a reader of the order does: C before A means the words are reversed, B before A the bytes
    order = p.order
    read = [wire[at : at + 2] for at in range(0, len(wire), 2)]
    if order.index("C") < order.index("A"):
        read.reverse()
    if order.index("B") < order.index("A"):
        read = [w[::-1] for w in read]
    assert b"".join(read) == value


@given(st.integers(0, 63), st.integers(1, 64), st.sampled_from(["u16", "u32", "u64"]))
def test_bits_are_accepted_exactly_when_they_lie_in_the_type(tmp_path_factory, first, count, kind):
    text = MODBUS.replace(
        'type = "s16"\nscale = 0.01\ninvalid = [0x7FFF]', f'type = "{kind}"\nbits = [{first}, {count}]'
    )
    path = tmp_path_factory.mktemp("p")
    if first + count <= TYPES[kind]:
        assert load(path, text).point("t").bits == (first, count)
    else:
        with pytest.raises(Problems, match="are not all in type"):
            load(path, text)


LEAVES = st.booleans() | st.integers() | st.text(max_size=4) | st.decimals()


@given(st.recursive(LEAVES, lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=4), c, max_size=3)))
def test_no_value_in_a_file_can_end_in_anything_but_a_told_problem(value):
    """Whatever stands where a marker, bits, states or an OBIS code should: it is taken or told, never a crash."""
    for key in ("invalid", "bits", "states", "obis", "write", "calibration"):
        with suppress(ValidationError):
            point(type="u16", **{key: value})


# --- those that come with Satama


def ours():
    return [load_profile(name) for name in list_profiles()]


def test_there_are_device_types_of_all_kinds():
    kinds = {profile.kind for profile in ours()}
    needed = {
        "electricity_meter", "heat_meter", "water_meter", "level_sensor", "distance_sensor", "soil_sensor", "weather_station",
        "env_sensor", "relay_board", "dimmer", "ev_charger", "inverter", "lighting_gateway", "rain_gauge", "flow_meter",
    }  # fmt: skip
    assert needed <= kinds
    assert len(list_profiles()) >= 68


def test_every_value_names_a_source_of_its_profile():
    for profile in ours():
        keys = {source.partition(":")[0] for source in profile.sources}
        for p in profile.points:
            assert set(p.source.split("+")) <= keys, (profile.name, p.name)


def test_what_is_known_from_one_source_only_is_doubtful():
    for profile in ours():
        if len(profile.sources) == 1 and profile.interface == "modbus":
            assert profile.doubt, profile.name


def test_every_value_that_may_be_written_can_be_read_back_within_its_bounds():
    for profile in ours():
        for p in profile.points:
            if p.write and p.range and p.write.range:
                assert p.range[0] <= p.write.range[0] and p.write.range[1] <= p.range[1], (profile.name, p.name)


def test_some_values_that_are_easily_got_wrong():
    sunspec = load_profile("sunspec-103").point("energy_export")
    assert (sunspec.address, sunspec.scale_register, sunspec.type) == (24, 26, "u32")
    terra = load_profile("abb-terra-ac").point("state")
    assert (terra.bits, terra.names[4]) == ((8, 7), "C2 charging")
    alarm = load_profile("itron-cf55").point("power")  # 999999 kW, in tenths, as a float
    assert struct.unpack(">f", alarm.invalid[0].to_bytes(4, "big"))[0] * float(alarm.scale) == 999999
    meter = load_profile("cg-em340").point("voltage_l1")
    assert (meter.order, meter.invalid) == ("CDAB", [(0xFFFF0000, 0x7FFF0000)])
    assert load_profile("siemens-pac2200").point("energy_import_t1").rollover == 10**12
    slow = load_profile("dyp-rs485").point("distance")
    assert (slow.turnaround_ms, slow.timeout_ms) == (200, 1000)
    assert load_profile("weather-7in1-renke").point("pressure").scale == 1  # 0.1 kPa is 1 hPa
    assert load_profile("dfrobot-sen0601").point("ec").scale == Decimal("0.0001")  # uS/cm in S/m
    assert [load_profile(name).pulse.max_hz for name in ("pulse-water", "pulse-water-open-collector")] == [2, 17]


def test_the_closed_list_of_quantities_is_used():
    for profile in ours():
        for p in profile.points:
            assert p.unit in QUANTITIES[p.quantity].units and -9 <= p.exponent <= 2, (profile.name, p.name)
