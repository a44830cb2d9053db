"""Device types: those that come with Satama are sound, and a mistake in one is shown at its line."""

from decimal import Decimal
from fractions import Fraction

import pytest

from satama.problems import Problems
from satama.profile import list_profiles, load_profile

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
    with pytest.raises(Problems, match="needs \\[serial\\]"):
        load(tmp_path, lacking)
    with pytest.raises(Problems, match="belongs to Modbus"):
        load(tmp_path, PULSE + "scale = 1\n", "drops")


@pytest.mark.parametrize("ratio", ['"1/0"', '"one"', "0", "-1", "true", '"-1/2"'])
def test_units_per_pulse_are_positive(tmp_path, ratio):
    with pytest.raises(Problems, match="per_pulse"):
        load(tmp_path, PULSE.replace('"1/450"', ratio), "drops")


@pytest.mark.parametrize(
    "line",
    ["[[2540000, 0]]", "[[1000000, 0], [1000000, 100]]", "[[-1, 0], [1270000, 100]]", "[[2540000.0, 0], [1, 2]]", "5"],
)
def test_a_calibration_is_two_different_points(tmp_path, line):
    good = (
        PULSE.replace('"pulse"', '"analog"')
        .replace('[pulse]\nedge = "falling"\ndebounce_ms = 5\nmax_hz = 10', "[analog]\nsamples = 4")
        .replace('per_pulse = "1/450"', "calibration = [[2540000, 0], [1270000, 100.5]]")
    )
    assert load(tmp_path, good, "drops").point("volume").calibration == ((2540000, 0), (1270000, Decimal("100.5")))
    with pytest.raises(Problems, match="calibration"):
        load(tmp_path, good.replace("[[2540000, 0], [1270000, 100.5]]", line), "drops")


def test_a_missing_profile_is_told_with_the_likely_one():
    with pytest.raises(Problems, match="did you mean 'eastron-sdm630'"):
        load_profile("eastron-sdm360")
    with pytest.raises(Problems, match="there is no such profile"):
        load_profile("elsewhere/eastron-sdm630.toml")
