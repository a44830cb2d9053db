"""What the device gets: byte for byte, exact numbers, stable stream ids, requests that cover just what is wanted."""

import json
import tomllib
from binascii import crc32
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satama import RELEASED, __version__
from satama.compile_inputs import pulse_scale
from satama.compile_reads import exact_scale
from satama.compiler import _mantissas, compile_site, pack
from satama.ids import assign_ids, ids_path, load_ids, save_ids
from satama.problems import Problems
from satama.profile import load_profile
from satama.quantities import _number

SITE = """\
[site]
name = "yard"
gateway = "gw-1"
board = "esp32-devkit"
[network]
kind = "wifi"
ssid = "äö"
password = "fish-harbour"
ntp = ["ntp.yard.example"]
[mqtt]
host = "broker.yard.example"
insecure = true
user = "gw-1"
password = "very-secret"
[[bus]]
id = "line"
kind = "modbus-rtu"
port = "rs485"
baud = 19200
parity = "E"
[[device]]
id = "meter"
profile = "./counter.toml"
bus = "line"
unit = 9
period_s = 10
[device.point.power]
period_s = 2
filters = [{ kind = "range", low = -0.05, high = 99.95 }, { kind = "median", size = 3 }]
window = { period_s = 10, outputs = ["mean", "max"] }
[[device]]
id = "soil"
profile = "dfrobot-sen0193"
pin = "A2"
period_s = 2
[[device]]
id = "flow"
profile = "yf-s201"
pin = 13
[device.point.volume]
window = { period_s = 60, outputs = ["delta", "last"] }
"""
COUNTER = """\
name = "counter"
vendor = "nobody"
model = "C1"
kind = "electricity_meter"
interface = "modbus"
sources = ["invented for a test"]
[serial]
baud = 19200
parity = "E"
stop_bits = 1
[limits]
max_registers = 6
gap_ms = 5
turnaround_ms = 3
timeout_ms = 200
[[point]]
name = "power"
quantity = "active_power"
unit = "kW"
function = 3
address = 100
type = "s32"
word_order = "little"
scale = -0.250
exponent = -1
range = [-1000, 1000]
invalid = [0x80000000]
source = "invented"
[[point]]
name = "import"
quantity = "active_energy_import"
unit = "Wh"
function = 3
address = 102
type = "u64"
scale = 1000
exponent = 0
source = "invented"
[[point]]
name = "total"
quantity = "active_energy_total"
unit = "kWh"
function = 3
address = 106
type = "f32"
source = "invented"
[[point]]
name = "door"
quantity = "contact_state"
unit = ""
function = 2
address = 3
type = "bool"
source = "invented"
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "counter.toml").write_text(COUNTER)
    path = tmp_path / "yard.toml"
    path.write_text(SITE)
    return path


def test_the_compiled_body_of_a_small_site(site):
    assert compile_site(site).body == {
        "site": "yard",
        "gateway": "gw-1",
        "board": "esp32-devkit",
        "root": "district/v1",
        "config": "4180c90a9a0bde2a",
        "built": RELEASED,
        "version": __version__,
        "network": {"kind": "wifi", "ssid": "äö", "password": "fish-harbour", "ntp": ["ntp.yard.example"]},
        "mqtt": {
            "host": "broker.yard.example",
            "port": 1883,
            "keepalive_s": 60,
            "user": "gw-1",
            "password": "very-secret",
            "tls": 0,
            "batch_age_s": 10,
            "batch_bytes": 1000,
        },
        "buses": [
            {
                "id": "line",
                "kind": "modbus-rtu",
                "uart": 1,
                "tx": 17,
                "rx": 16,
                "de": 4,
                "baud": 19200,
                "parity": "E",
                "stop_bits": 1,
            }
        ],
        "devices": [["meter", "counter"], ["soil", "dfrobot-sen0193"], ["flow", "yf-s201"]],
        "streams": [
            [0, "meter/power/mean", "kW", -1, "gauge", 2, 10],
            [1, "meter/power/max", "kW", -1, "gauge", 2, 10],
            [2, "meter/import", "Wh", 0, "counter", 1, 10],
            [3, "meter/total", "kWh", -2, "counter", 1, 10],
            [4, "meter/door", "", 0, "state", 2, 10],
            [5, "soil/moisture", "/100", -1, "gauge", 2, 2],
            [6, "flow/volume/delta", "l", -3, "gauge", 1, 60],
            [7, "flow/volume/last", "l", -3, "counter", 1, 60],
        ],
        "points": [
            [
                "meter/power",
                -1,
                [["range", -10000, 10000], ["range", 0, 999], ["median", 3]],
                [["mean", 0], ["max", 1]],
            ],
            ["meter/import", 0, [], [["each", 2]]],
            ["meter/total", -2, [], [["each", 3]]],
            ["meter/door", 0, [], [["each", 4]]],
            ["soil/moisture", -1, [["range", -50, 1100]], [["each", 5]]],
            ["flow/volume", -3, [], [["delta", 6], ["last", 7]]],
        ],
        "polls": [
            [
                2,
                [[0, 9, 3, 100, 2, 3, 200, 5, [[0, 0, "s32", "little", -25, -1, [0x80000000]]]]],
                [["adc", 35, 11, 16, 4, 2540000, 0, 1270000, 1000]],
            ],
            [
                10,
                [
                    [0, 9, 2, 3, 1, 3, 200, 5, [[3, 0, "bool", "big", 1, 0, []]]],
                    [0, 9, 3, 102, 6, 3, 200, 5, [[1, 0, "u64", "big", 1, 3, []], [2, 4, "f32", "big", 1, 2, []]]],
                ],
                [["pulse", 13, "rising", 0, 5, 2, 1, 9]],
            ],
        ],
    }


def test_the_file_is_a_checked_header_and_ascii_json(site):
    compiled = compile_site(site)
    header, _, text = compiled.data.partition(b"\n")
    assert header == b"satama-site 1 %d %08x" % (len(text), crc32(text))
    assert text.isascii() and b" " not in text.replace(b"esp32-devkit", b"")
    assert json.loads(text, parse_float=lambda number: pytest.fail(f"a float: {number}")) == compiled.body
    assert b"null" not in text
    assert pack({}) == b"satama-site 1 2 %08x\n{}" % crc32(b"{}")


def test_two_builds_are_byte_identical(site):
    first = compile_site(site, write_ids=False).data
    assert compile_site(site).data == first
    assert compile_site(site).data == first


def test_the_compiled_site_tells_what_it_was_made_of(site):
    compiled = compile_site(site)
    assert compiled.board.name == "esp32-devkit" and compiled.site.site.gateway == "gw-1"
    assert [profile.name for profile in compiled.profiles.values()] == ["counter", "dfrobot-sen0193", "yf-s201"]
    assert compiled.streams[2].name == "meter/import" and compiled.streams[2].klass == 1
    assert [list(stream) for stream in compiled.streams] == compiled.body["streams"]


def test_the_published_config_hash_follows_the_configuration_but_no_password(site):
    config = compile_site(site).body["config"]
    text = site.read_text()
    for old, new, same in [
        ("very-secret", "another-secret", True),
        ("fish-harbour", "fish-harbour-2", True),
        ("[site]", "# a comment\n[site]", True),
        ("period_s = 2\n", "period_s = 5\n", False),
        ("gw-1", "gw-2", False),
    ]:
        site.write_text(text.replace(old, new, 1))
        assert (compile_site(site, write_ids=False).body["config"] == config) == same, old
    site.write_text(text)
    profile = site.parent / "counter.toml"
    profile.write_text(profile.read_text().replace("address = 106", "address = 108"))
    assert compile_site(site, write_ids=False).body["config"] != config


def test_settings_of_a_device_override_its_profile(site):
    text = site.read_text().replace("unit = 9\n", "unit = 9\nmax_registers = 4\ngap_ms = 0\ntimeout_ms = 50\n")
    site.write_text(text)
    reads = compile_site(site).body["polls"][1][1]
    assert [read[3:8] for read in reads] == [[3, 1, 3, 50, 0], [102, 4, 3, 50, 0], [106, 2, 3, 50, 0]]


def test_registers_between_two_points_are_not_asked_for(site):
    profile = site.parent / "counter.toml"
    text = profile.read_text().replace("address = 106", "address = 107")
    profile.write_text(text.replace("max_registers = 6", "max_registers = 8"))
    reads = compile_site(site).body["polls"][1][1]
    assert [read[3:5] for read in reads] == [[3, 1], [102, 4], [107, 2]]


def test_an_overloaded_bus_is_refused_and_a_busy_one_is_told(site):
    """At 1200 Bd the three requests take 457, 432 and 533 ms with a gap of 300 ms, the first one every 2 s."""
    text = site.read_text().replace("baud = 19200", "baud = 1200")

    def warnings(gap_ms):
        site.write_text(text.replace("unit = 9\n", f"unit = 9\ngap_ms = {gap_ms}\n"))
        return [warning for warning in compile_site(site, write_ids=False).warnings if "requests take" in warning.what]

    assert not warnings(300)
    [together] = warnings(700)
    assert "when all points are due at once, the requests take 2622 ms" in together.what and together.line == 15
    assert "bus 'line': the requests take 89 % of the time" in warnings(1100)[0].what
    with pytest.raises(Problems, match="bus 'line': the requests take 124 % of the time") as caught:
        warnings(1600)
    assert caught.value.problems[0].line == 15
    assert not ids_path(site).exists()


def test_the_load_of_a_bus(site):
    """Reckoned by hand: 11 bits a character at 19200 Bd; 8 + 5 + data characters; turnaround 3 ms, gap 5 ms."""
    [load] = compile_site(site).loads
    char_ms = Fraction(11000, 19200)
    fast, bits, slow = ((13 + data) * char_ms + 8 for data in (4, 1, 12))
    assert load.id == "line" and load.requests_per_minute == 42
    assert load.busy == fast / 2000 + (bits + slow) / 10000
    assert load.longest_slot_ms == fast + bits + slow


# --- numbers

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6)
EXPONENTS = st.integers(-9, 9)


@given(scale=DECIMALS.filter(bool), exponent=EXPONENTS, raw=st.integers(-(2**64), 2**64))
def test_scales_are_exact(scale, exponent, raw):
    m, shift = exact_scale(_number(scale), exponent)
    assert raw * m * Fraction(10) ** shift == raw * Fraction(scale) / Fraction(10) ** exponent


@given(
    ratio=st.fractions(min_value=Fraction(1, 10**6), max_value=10**6), exponent=EXPONENTS, pulses=st.integers(0, 2**63)
)
def test_pulse_scales_are_exact_and_small(ratio, exponent, pulses):
    m, shift, denominator = pulse_scale(ratio, exponent)
    assert pulses * m * Fraction(10) ** shift / denominator == pulses * ratio / Fraction(10) ** exponent
    assert m % 10 and all(denominator % prime for prime in (2, 5))


@given(low=DECIMALS, span=DECIMALS, exponent=st.integers(-5, 9))
def test_limits_in_mantissas_keep_just_what_they_kept_in_the_unit(low, span, exponent):
    high, unit = low + abs(span), Fraction(10) ** exponent
    lowest, highest = _mantissas(low, high, exponent)
    for mantissa in (lowest - 1, lowest, highest, highest + 1):
        assert (lowest <= mantissa <= highest) == (Fraction(low) <= mantissa * unit <= Fraction(high))


# --- requests

SDM630 = load_profile("eastron-sdm630")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from([point.name for point in SDM630.points]), min_size=1, max_size=69, unique=True),
    most=st.sampled_from([2, 3, 10, 50, 80]),
)
def test_requests_cover_just_the_wanted_registers(tmp_path, names, most):
    path = tmp_path / "site.toml"
    head = SITE[: SITE.index("[[device]]")].replace("19200", "115200")
    device = f'id = "m"\nprofile = "eastron-sdm630"\nbus = "line"\nunit = 1\nmax_registers = {most}\n'
    path.write_text(head + "[[device]]\n" + device + f"points = {json.dumps(names)}\nperiod_s = 60\n")
    compiled = compile_site(path, write_ids=False)
    [[_, reads, _]] = compiled.body["polls"]
    covered, found = [], {}
    for _, _, function, address, count, _, _, _, fields in reads:
        assert function == 4 and count <= most
        covered += range(address, address + count)
        for index, offset, kind, _, _, _, _ in fields:
            assert kind == "f32" and offset + 2 <= count
            found[compiled.body["points"][index][0]] = address + offset
    assert found == {f"m/{name}": SDM630.point(name).address for name in names}
    wanted = {register for address in found.values() for register in (address, address + 1)}
    assert sorted(covered) == sorted(wanted)
    for left, right in pairwise(reads):  # no two that could have been one
        assert left[3] + left[4] != right[3] or left[4] + 2 > most


# --- stream ids


def test_ids_are_kept_beside_the_site_file(site):
    compile_site(site, write_ids=False)
    assert not ids_path(site).exists()
    compile_site(site)
    ids = tomllib.loads(ids_path(site).read_text())["streams"]
    assert ids["meter/power/mean"] == 0 and ids["flow/volume/last"] == 7
    assert not [path.name for path in site.parent.iterdir() if path.name.endswith(".tmp")]


def test_a_removed_stream_keeps_its_id_and_a_new_one_gets_a_new_id(site):
    text = site.read_text()
    compile_site(site)
    site.write_text(text.replace('id = "soil"', 'id = "bed"').replace('"mean", "max"', '"min"'))
    changed = {stream.name: stream.id for stream in compile_site(site).streams}
    assert changed["bed/moisture"] == 9 and changed["meter/power/min"] == 8
    assert changed["flow/volume/last"] == 7 and "soil/moisture" not in changed
    kept = load_ids(ids_path(site))
    assert kept["soil/moisture"] == 5 and kept["meter/power/max"] == 1
    site.write_text(text)
    assert {stream.name: stream.id for stream in compile_site(site).streams}["soil/moisture"] == 5


@given(rounds=st.lists(st.lists(st.text("abc", min_size=1, max_size=3), unique=True), max_size=6))
def test_an_id_belongs_to_one_stream_for_ever(rounds):
    ids, owners = {}, {}
    for names in rounds:
        ids = assign_ids(ids, names)
        for name, number in ids.items():
            assert owners.setdefault(number, name) == name
        assert set(names) <= set(ids) and set(ids.values()) == set(range(len(ids)))


def test_the_smallest_free_number_is_taken():
    assert assign_ids({"a": 0, "c": 2}, ["b", "a", "d"]) == {"a": 0, "c": 2, "b": 1, "d": 3}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[streams]\n"a" = 0\n"b" = 0\n', "stream 'b': id 0 is also that of 'a'"),
        ('[streams]\n"a" = 0\n"a" = 1\n', "not valid TOML"),
        ('[streams]\n"a" = 0\n"b" = 3\n', "lines are missing: no stream has id 1, 2"),
        ('[streams]\n"a" = -1\n', "-1 is not an id"),
        ('[streams]\n"a" = "0"\n', "must be a whole number"),
        ('[streams]\n"a" = true\n', "must be a whole number"),
        ("[stream]\n", "unknown key 'stream'"),
        ('[streams]\n<<<<<<< HEAD\n"a" = 0\n', "not valid TOML"),
        ("", "'streams' is missing"),
        ('[streams]\n"a" = 0\n\0', "not valid TOML"),
    ],
)
def test_a_damaged_ids_file_is_refused_with_the_way_out(site, text, what):
    ids_path(site).write_text(text)
    with pytest.raises(Problems) as caught:
        compile_site(site)
    problem = caught.value.problems[0]
    assert what in problem.what and "version control" in problem.hint
    assert problem.file == str(ids_path(site))
    assert ids_path(site).read_text() == text


def test_ids_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "yard.ids.toml").mkdir()
    with pytest.raises(Problems, match="cannot be written"):
        save_ids(tmp_path / "yard.ids.toml", {"a": 0})
    with pytest.raises(Problems, match="cannot be written"):
        save_ids(tmp_path / "nowhere" / "yard.ids.toml", {"a": 0})


def test_an_unchanged_ids_file_is_left_alone(site):
    compile_site(site)
    before = ids_path(site).stat()
    compile_site(site)
    assert ids_path(site).stat().st_ino == before.st_ino and ids_path(site).stat().st_mtime_ns == before.st_mtime_ns


def test_the_demo_cabinet():
    """As promised: at least 20 streams, nothing slower than 10 s, a bus with room to spare, its ids committed."""
    from satama.places import SITES

    path = SITES / "demo.toml"
    compiled = compile_site(path, write_ids=False)
    assert len(compiled.streams) >= 20
    assert max(stream.period_s for stream in compiled.streams) <= 10
    assert compiled.loads[0].busy < Fraction(6, 10) and compiled.loads[0].longest_slot_ms < 2000
    assert set(load_ids(ids_path(path))) == {stream.name for stream in compiled.streams}
