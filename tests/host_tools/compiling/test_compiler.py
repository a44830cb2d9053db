"""What the device gets: byte for byte, exact numbers, stable stream ids, requests that cover just what is wanted."""

import json
import re
import tomllib
from binascii import crc32
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satama import RELEASED, __version__
from satama.compiling.compiler import compile_site, pack
from satama.compiling.ids import Ids, ids_path, load_ids, save_ids
from satama.compiling.inputs import pulse_scale
from satama.compiling.reads import exact_scale
from satama.core.problems import Problems
from satama.core.quantities import _number
from satama.profiles.library import load_profile

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
    body = compile_site(site).body
    assert re.fullmatch("[0-9a-f]{16}", body["config"])
    for poll in body["polls"]:
        poll[2] = [row[:5] for row in poll[2]]  # the rest is for test_compile_inputs.py
    assert body == {
        "site": "yard",
        "gateway": "gw-1",
        "board": "esp32-devkit",
        "root": "district/v1",
        "config": body["config"],
        "built": RELEASED,
        "version": __version__,
        "network": {"kind": "wifi", "ssid": "äö", "password": "fish-harbour", "ntp": ["ntp.yard.example"]},
        "mqtt": {
            "hosts": [["broker.yard.example", 1883]],
            "keepalive_s": 60,
            "user": "gw-1",
            "password": "very-secret",
            "window": 16,
            "tls": 0,
            "ca": [],
            "cert": "",
            "key": "",
            "encoding": "cbor",
            "batch_age_s": 10,
            "batch_samples": 1000,
            "batch_bytes": 1000,
            "backlog_bytes_s": 8000,
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
                "echo": 0,
                "dead_share": 5,
            }
        ],
        "units": [[0, 9, "meter", 3, 200, 5, [], 0]],
        "journal": {"durability_s": 10, "percents": [5, 17], "ages_h": [0, 0, 0]},
        "retention_h": 0,
        "devices": [["meter", "counter", 0], ["soil", "dfrobot-sen0193", 0], ["flow", "yf-s201", 0]],
        "streams": [
            [0, "meter/power/mean", "kW", -1, "gauge", 2, 10, 0],
            [1, "meter/power/max", "kW", -1, "gauge", 2, 10, 0],
            [2, "meter/import", "Wh", 0, "counter", 1, 10, 0],
            [3, "meter/total", "kWh", -2, "counter", 1, 10, 0],
            [4, "meter/door", "", 0, "state", 2, 10, 0],
            [5, "soil/moisture", "/100", -1, "gauge", 2, 2, 0],
            [6, "flow/volume/delta", "l", -3, "gauge", 1, 60, 0],
            [7, "flow/volume/last", "l", -3, "counter", 1, 60, 0],
        ],
        "retired": [],
        "renewed": [],
        "points": [
            [
                "meter/power",
                -1,
                [["range", -10000, 10000], ["range", 0, 999], ["median", 3]],
                [["mean", 0], ["max", 1]],
            ],
            ["meter/import", 0, [["counter", 0, 10000, 1, 3, 1000, 0, 1]], [["each", 2]]],
            ["meter/total", -2, [["counter", 0, 1000, 1, 3, 1, 24, 1]], [["each", 3]]],
            ["meter/door", 0, [], [["each", 4]]],
            ["soil/moisture", -1, [["range", -50, 1100]], [["each", 5]]],
            ["flow/volume", -3, [["counter", 0, 250000, 1, 3, 3, 0, 60]], [["delta", 6], ["last", 7]]],
        ],
        "polls": [
            [
                2,
                [[0, 3, 100, 2, 3, 200, [[0, 0, "s32", "CDAB", -25, -1, [0x80000000]]]]],
                [["adc", 35, 11, 16, 4]],
            ],
            [
                10,
                [
                    [0, 2, 3, 1, 3, 200, [[3, 0, "bool", "ABCD", 1, 0, []]]],
                    [0, 3, 102, 6, 3, 200, [[1, 0, "u64", "ABCD", 1, 3, []], [2, 4, "f32", "ABCD", 1, 2, []]]],
                ],
                [["pulse", 13, "rising", 0, 5]],
            ],
        ],
        "texts": [],
        "probes": [],
        "derived": [],
        "modules": "acquire.modbus.bus,acquire.modbus.unit,acquire.modbus.rtu,acquire.inputs.analog,"
        "acquire.inputs.calibrations,acquire.inputs.pulses,process.filters.checks,process.filters.smoothing,"
        "process.counter,uplink.encoding.senml,uplink.encoding.cbor",
    }


def test_the_file_is_a_checked_header_and_ascii_json(site):
    compiled = compile_site(site)
    header, _, text = compiled.data.partition(b"\n")
    assert header == b"satama-site 2 %d %08x" % (len(text), crc32(text))
    assert text.isascii() and b" " not in text.replace(b"esp32-devkit", b"")
    assert json.loads(text, parse_float=lambda number: pytest.fail(f"a float: {number}")) == compiled.body
    assert b"null" not in text
    assert pack({}) == b"satama-site 2 3 %08x\n{\n}" % crc32(b"{\n}")


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
    body = compile_site(site).body
    assert body["units"] == [[0, 9, "meter", 3, 50, 0, [], 0]]
    assert [read[2:6] for read in body["polls"][1][1]] == [[3, 1, 3, 50], [102, 4, 3, 50], [106, 2, 3, 50]]


def test_an_overloaded_bus_is_refused_and_a_busy_one_is_told(site):
    """At 1200 Bd the three requests take about 460, 440 and 540 ms with a gap of 300 ms, the first one every 2 s."""
    text = site.read_text().replace("baud = 19200", "baud = 1200")

    def warnings(gap_ms):
        site.write_text(text.replace("unit = 9\n", f"unit = 9\ngap_ms = {gap_ms}\n"))
        return [warning for warning in compile_site(site, write_ids=False).warnings if "requests" in warning.what]

    assert not warnings(300)
    [together] = warnings(450)
    assert "bus 'line': the requests that fall together take 19" in together.what and together.line == 15
    with pytest.raises(
        Problems, match=r"requests that fall together take 27\d\d\.\d ms, and the next are due after 2 s"
    ):
        warnings(700)
    with pytest.raises(Problems, match="bus 'line': the requests take 126 % of the time") as caught:
        warnings(1600)
    assert caught.value.problems[0].line == 15
    assert not ids_path(site).exists()


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


# --- requests

SDM630 = load_profile("eastron-sdm630")


def reads_of(path, profile_points, limits=None, more="", **device_keys):
    """(reads, body) of a site with one device, whose profile has these points p0, p1, ... (keys with values as in TOML)."""
    limits = {"max_registers": 80, "gap_ms": 5, "turnaround_ms": 3, "timeout_ms": 200} | (limits or {})
    text = COUNTER[: COUNTER.index("[limits]")] + "[limits]\n"
    text += "".join(f"{key} = {value}\n" for key, value in limits.items()) + more
    for number, point in enumerate(profile_points):
        usual = {"quantity": '"current"', "unit": '"A"', "exponent": 0, "source": '"invented"', "function": 3}
        text += f'[[point]]\nname = "p{number}"\n'
        text += "".join(f"{key} = {value}\n" for key, value in (usual | point).items())
    (path / "counter.toml").write_text(text)
    device = '[[device]]\nid = "m"\nprofile = "./counter.toml"\nbus = "line"\nunit = 1\n'
    device += "".join(f"{key} = {value}\n" for key, value in device_keys.items())
    (path / "site.toml").write_text(SITE[: SITE.index("[[device]]")] + device)
    body = compile_site(path / "site.toml", write_ids=False).body
    return [read for _, reads, _ in body["polls"] for read in reads], body


def u16(address, **more):
    return {"address": address, "type": '"u16"'} | more


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from([point.name for point in SDM630.points]), min_size=1, max_size=69, unique=True),
    most=st.sampled_from([2, 3, 10, 50, 80]),
)
def test_requests_hold_every_wanted_value_once_and_whole(tmp_path, names, most):
    path = tmp_path / "site.toml"
    head = SITE[: SITE.index("[[device]]")].replace("19200", "115200")
    device = f'id = "m"\nprofile = "eastron-sdm630"\nbus = "line"\nunit = 1\nmax_registers = {most}\n'
    path.write_text(head + "[[device]]\n" + device + f"points = {json.dumps(names)}\nperiod_s = 60\n")
    compiled = compile_site(path, write_ids=False)
    [[_, reads, _]] = compiled.body["polls"]
    found = {}
    for _, function, address, count, _, _, fields in reads:
        assert function == 4 and count <= most
        assert fields[0][1] == 0 and fields[-1][1] + 2 == count  # nothing is asked for before or behind
        for index, offset, kind, *_ in fields:
            assert kind == "f32" and offset + 2 <= count
            assert found.setdefault(compiled.body["points"][index][0], address + offset) == address + offset
    assert found == {f"m/{name}": SDM630.point(name).address for name in names}
    for left, right in pairwise(reads):
        assert left[2] + left[3] <= right[2]


def test_holes_are_read_over_where_that_is_quicker(tmp_path):
    """At 19200 8E1 a register takes 1.15 ms; one more request 13 characters, the turnaround and the gap: 15.5 ms."""
    reads, _ = reads_of(tmp_path, [u16(0), u16(13), u16(29)])
    assert [read[2:4] for read in reads] == [[0, 14], [29, 1]]


def test_places_that_the_device_refuses_are_not_read(tmp_path):
    points = [u16(0), u16(2), u16(3), u16(6), u16(8), u16(10)]
    holes = {"holes": '"illegal"'}
    reads, _ = reads_of(tmp_path, points, limits=holes)
    assert [read[2:4] for read in reads] == [[0, 1], [2, 2], [6, 1], [8, 1], [10, 1]]
    known = [*points, u16(4), u16(5)]  # the profile knows them, though nobody wants them
    reads, _ = reads_of(tmp_path, known, limits=holes, points='["p1", "p3"]')
    assert [read[2:4] for read in reads] == [[2, 5]]
    other = [{"function": 4, "first": 4, "last": 4}, {"function": 3, "first": 7, "last": 7}]
    forbidden = "[" + ", ".join("{" + ", ".join(f"{k} = {v}" for k, v in entry.items()) + "}" for entry in other) + "]"
    reads, _ = reads_of(tmp_path, points, limits={"forbidden": forbidden})
    assert [read[2:4] for read in reads] == [[0, 7], [8, 3]]


def test_a_value_and_its_scale_register_are_read_together(tmp_path):
    """As in SunSpec: the power of ten stands behind the values."""
    points = [u16(2, scale_register=6), u16(40, scale_register=41), u16(3, scale_register=6)]
    reads, body = reads_of(tmp_path, points, more="[sunspec]\nmodel = 103\nbases = [40000, 0]\n")
    assert body["units"][0][6] == [103, 40000, 0]
    assert [read[2:4] for read in reads] == [[2, 5], [40, 2]]
    assert [field[:2] + field[7:] for read in reads for field in read[6]] == [
        [0, 0, ["scale", 4]],
        [2, 1, ["scale", 4]],
        [1, 0, ["scale", 1]],
    ]


def test_a_scale_register_counts_as_a_place_that_the_device_has(tmp_path):
    """Between two values it joins them; before a hole it still belongs to its own value."""
    holes = {"holes": '"illegal"'}
    reads, _ = reads_of(tmp_path, [u16(2), u16(3, scale_register=4), u16(5)], limits=holes)
    assert [read[2:4] for read in reads] == [[2, 4]]
    reads, _ = reads_of(tmp_path, [u16(2), u16(8, scale_register=6)], limits=holes)
    assert [read[2:4] for read in reads] == [[2, 1], [6, 3]] and reads[1][6][0][1] == 2


def test_a_scale_register_out_of_reach_is_a_mistake(tmp_path):
    points = [u16(2, scale_register=6), u16(3, scale_register=6)]
    with pytest.raises(Problems) as caught:
        reads_of(tmp_path, points, max_registers=4)
    [problem] = caught.value.problems
    assert "point 'p0' with its scale register spans 5 registers, but the device bears 4 in one read" in problem.what


def test_a_slow_point_sets_the_times_of_its_own_read(tmp_path):
    points = [u16(0), u16(5, turnaround_ms=150, timeout_ms=900), u16(90, timeout_ms=100)]
    reads, body = reads_of(tmp_path, points)
    assert [read[2:6] for read in reads] == [[0, 6, 150, 900], [90, 1, 3, 100]]
    assert body["units"][0][3:5] == [3, 200]


def test_what_the_bits_of_an_answer_mean(tmp_path):
    point = {"address": 0, "type": '"u32"'}
    points = [
        point
        | {"word_order": '"little"', "byte_order": '"little"', "invalid": "[{ mask = 0xFF00, value = 0x7F00 }, 5]"},
        point | {"address": 2, "byte_order": '"little"', "bits": "[8, 7]"},
        point
        | {"address": 4, "type": '"string"', "length": 2, "states": "{ A = 0, B1 = 1 }"}
        | {"quantity": '"charge_state"', "unit": '""'},
    ]
    [[*_, fields]], _ = reads_of(tmp_path, points)
    assert fields == [
        [0, 0, "u32", "DCBA", 1, 0, [[0xFF00, 0x7F00], 5]],
        [1, 2, "u32", "BADC", 1, 0, [], ["bits", 8, 7]],
        [2, 4, "string", "ABCD", 1, 0, [], ["codes", 2, [["A", 0], ["B1", 1]]]],
    ]


def test_texts_are_read_apart(tmp_path):
    serial = {"address": 20, "type": '"string"', "length": 8, "quantity": '"serial_number"', "unit": '""'}
    reads, body = reads_of(tmp_path, [u16(0), serial])
    assert [read[2:4] for read in reads] == [[0, 1]]
    assert body["texts"] == [[0, 3, 20, 8, "m", "p1", []]]


# --- other buses

OTHERS = """\
[[bus]]
id = "net"
kind = "modbus-tcp"
host = "192.0.2.7"
dead_share_percent = 10
[[bus]]
id = "port"
kind = "h1"
port = "serial"
[[device]]
id = "inverter"
profile = "./counter.toml"
bus = "net"
unit = 1
[[device]]
id = "house"
profile = "./house.toml"
bus = "port"
"""
HOUSE = """\
name = "house"
vendor = "nobody"
model = "H1"
kind = "electricity_meter"
interface = "h1"
sources = ["invented for a test"]
[telegram]
interval_s = 10
[[point]]
name = "import"
quantity = "active_energy_import"
unit = "kWh"
obis = "1-0:1.8.0"
telegram_unit = "kWh"
source = "invented"
"""
RANGE = """\
name = "range"
vendor = "nobody"
model = "R1"
kind = "level_sensor"
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
unit = "m"
exponent = -3
address = 1
type = "u16"
scale = 0.001
invalid = [0xFFFF]
source = "invented"
"""


def test_network_and_listening_buses(site):
    (site.parent / "house.toml").write_text(HOUSE)
    (site.parent / "range.toml").write_text(RANGE)
    buses, devices = OTHERS[: OTHERS.index("[[device]]")], OTHERS[OTHERS.index("[[device]]") :]
    text = site.read_text().replace("[[device]]", buses + "[[device]]", 1) + devices
    site.write_text(text)
    body = compile_site(site, write_ids=False).body
    assert body["buses"][1:] == [
        {"id": "net", "kind": "modbus-tcp", "host": "192.0.2.7", "port": 502, "dead_share": 10},
        {
            "id": "port",
            "kind": "h1",
            "uart": 2,
            "tx": 26,
            "rx": 25,
            "invert": 1,
            "baud": 115200,
            "parity": "N",
            "stop_bits": 1,
            "stale_ms": 30000,
        },
    ]
    assert [unit[:3] for unit in body["units"]] == [[0, 9, "meter"], [1, 1, "inverter"]]
    at = [point[0] for point in body["points"]].index("house/import")
    assert ["heard", 2, at, "1-0:1.8.0", "kWh", 1, 2] in body["polls"][1][2]
    site.write_text(text.replace('"h1"', '"stream"').replace("./house.toml", "./range.toml"))
    body = compile_site(site, write_ids=False).body
    assert body["buses"][2] == {
        "id": "port",
        "kind": "stream",
        "uart": 2,
        "tx": 26,
        "rx": 25,
        "invert": 0,
        "baud": 9600,
        "parity": "N",
        "stop_bits": 1,
        "stale_ms": 900,
        "header": [255],
        "length": 4,
        "checksum": "sum8",
    }
    at = [point[0] for point in body["points"]].index("house/distance")
    assert ["heard", 2, at, [at, 1, "u16", "ABCD", 1, 0, [0xFFFF]]] in body["polls"][1][2]


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
    kept = load_ids(ids_path(site)).streams
    assert kept["soil/moisture"] == 5 and kept["meter/power/max"] == 1
    site.write_text(text)
    assert {stream.name: stream.id for stream in compile_site(site).streams}["soil/moisture"] == 5


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[streams]\n"a" = 0\n"b" = 0\n', "stream 'b': id 0 is also that of 'a'"),
        ('[streams]\n"a" = 0\n"a" = 1\n', "not valid TOML"),
        ('[streams]\n"a" = 0\n"b" = 3\n', "lines are missing: no stream has id 1, 2"),
        ('[streams]\n"a" = -1\n', "-1 is not an id"),
        ('[streams]\n"a" = 0\n[former]\n"0" = "b"\n', "stream 'b': id 0 is also that of 'a'"),
        ('[streams]\n"a" = 0\n[former]\n"01" = "b"\n', "-1 is not an id"),
        ('[streams]\n"a" = 0\n[meaning]\n"0" = { unit = "V" }\n', "'exponent' is missing"),
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
        save_ids(tmp_path / "yard.ids.toml", Ids({"a": 0}))
    with pytest.raises(Problems, match="cannot be written"):
        save_ids(tmp_path / "nowhere" / "yard.ids.toml", Ids({"a": 0}))


def test_an_unchanged_ids_file_is_left_alone(site):
    compile_site(site)
    before = ids_path(site).stat()
    compile_site(site)
    assert ids_path(site).stat().st_ino == before.st_ino and ids_path(site).stat().st_mtime_ns == before.st_mtime_ns


def test_the_demo_cabinet():
    """As promised: at least 20 streams, nothing slower than 10 s, a bus with room to spare, its ids committed."""
    from satama.core.places import SITES

    path = SITES / "demo.toml"
    compiled = compile_site(path, write_ids=False)
    assert len(compiled.streams) >= 20
    assert max(stream.period_s for stream in compiled.streams) <= 10
    assert compiled.plans[0].load < Fraction(6, 10) and compiled.plans[0].all_due_us < 2_000_000
    assert set(load_ids(ids_path(path)).streams) == {stream.name for stream in compiled.streams}


def test_probes_tell_how_to_see_that_it_is_the_right_device(tmp_path):
    def probes(identity):
        _, body = reads_of(tmp_path, [u16(0)], more=identity)
        return body["probes"]

    assert probes("") == []
    register = '[identity]\nfunction = 3\naddress = 9\ntype = "u32"\nvalue = [7, 8]\n'
    assert probes(register) == [[0, 3, 9, 2, [7, 8]]]
    assert probes('[identity]\nfunction = 4\naddress = 9\ntype = "string"\ntext = "EM3"\n') == [[0, 4, 9, 2, "EM3"]]
    assert probes('[identity]\nobject = 4\ncontains = "EM3"\n') == [[0, 43, 4, 0, "EM3"]]
    assert probes('[identity]\nserver_id = "EM3"\n') == [[0, 17, 0, 0, "EM3"]]
