"""`satama explain`: a point in words and as data, from the wire to its streams."""

import json

import pytest
from typer.testing import CliRunner

from gateway.core import quality
from satama.cli import app
from satama.compiling.compiler import compile_site
from satama.core.places import SITES
from satama.explaining.points import BUS_REASONS, PUSHED_REASONS, WINDOW_REASONS

SITE = """\
[site]
name = "yard"
gateway = "gw-1"
board = "esp32-devkit"
[network]
kind = "wifi"
ssid = "yard"
password = "fish-harbour"
[mqtt]
host = "broker.yard.example"
insecure = true
[[bus]]
id = "line"
kind = "modbus-rtu"
port = "rs485"
baud = 9600
[[bus]]
id = "net"
kind = "modbus-tcp"
host = "192.0.2.7"
[[device]]
id = "meter"
profile = "eastron-sdm630"
bus = "line"
unit = 7
points = ["frequency", "energy_import"]
[device.point.frequency]
period_s = 5
filters = [{ kind = "ema", share = 0.25 }, { kind = "deadband", delta = 0.05, heartbeat_s = 600 }]
[device.point.active_power]
period_s = 2
filters = [{ kind = "range", low = -0.5, high = 50000 }, { kind = "rate", most = 1000 }]
window = { period_s = 60, outputs = ["mean", "max"] }
[[device]]
id = "relays"
profile = "waveshare-relay8"
bus = "net"
unit = 1
points = ["relay_1"]
[[device]]
id = "well"
profile = "loop-4-20ma-level"
pin = "A1"
[device.point.level]
span = [0, 5000]
[[device]]
id = "bed"
profile = "dfrobot-sen0193"
pin = "A2"
[device.point.moisture]
filters = [{ kind = "hysteresis", low = 20, high = 24.95 }]
[[device]]
id = "flow"
profile = "yf-s201"
pin = "P2"
[device.point.volume]
per_pulse = "1/440"
"""


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "yard.toml"
    path.write_text(SITE)
    return path


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(app, ["explain", *map(str, arguments)])


@pytest.fixture
def facts(run, site):
    def facts(point):
        result = run(site, point, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return facts


def test_people_read_a_point_from_its_register_to_its_streams(run, site):
    result = run(site, "meter/active_power")
    assert result.exit_code == 0
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "meter/active_power: active power in W, a gauge of class telemetry",
        "device meter: Eastron SDM630-Modbus v2, rtu, profile eastron-sdm630",
        "read every 2 s from bus line, unit 7: input registers 52..53 (function 4), f32, most significant byte first",
        "value raw W; kept in steps of 1 W",
        "reasons: timeout, crc, exception, short, wrong_unit, invalid, overflow",
        "possible -108000 to 108000 W",
        "filter 1 range (of the profile): -108000 W <= x <= 108000 W",
        "a reading outside is bad; its number is kept",
        "reasons: out_of_range",
        "filter 2 range: 0 W <= x <= 50000 W",
        "a reading outside is bad; its number is kept",
        "reasons: out_of_range",
        "filter 3 rate: |x - last believed| / elapsed <= 1000 W / s",
        "a faster change is bad (elapsed is 1 s at least); 3 such readings in a row that agree with each other are believed",
        "reasons: implausible",
        "window 60 s, aligned to the clock",
        "reasons: partial, no_data, overflow",
        "mean: sum / count, rounded half-even",
        "max: the highest reading",
        "stream meter/active_power/mean, id 2: a gauge of class telemetry, every 60 s",
        "stream meter/active_power/max, id 3: a gauge of class telemetry, every 60 s",
    ]


def test_tools_get_the_specs_that_the_device_gets(facts, site):
    body = compile_site(site, write_ids=False).body
    for name, exponent, specs, outputs in body["points"]:
        told = facts(name)
        assert told["ok"] is True and told["exponent"] == exponent
        assert [spec for step in told["filters"] for spec in step["compiled"]] == specs
        streams = [body["streams"][at] for _, at in outputs]
        assert [(s["id"], s["name"], s["kind"], s["period_s"]) for s in told["streams"]] == [
            (number, stream, kind, period_s) for number, stream, _, _, kind, _, period_s, _ in streams
        ]
    assert len(body["points"]) == 7


def test_what_the_profile_gives_is_told_apart_from_the_sites_own(facts):
    steps = facts("meter/frequency")["filters"]
    assert [(step["kind"], step["from"]) for step in steps] == [
        ("range", "profile"), ("rate", "profile"), ("ema", "site"), ("deadband", "site")
    ]  # fmt: skip
    assert steps[3]["formula"] == "|x - last reported| >= 0.05 Hz" and "600 s" in steps[3]["words"]
    assert steps[1]["reasons"] == ["implausible"]


@pytest.mark.parametrize(
    ("point", "place", "value", "reason"),
    [
        ("meter/energy_import", "input registers 72..73 (function 4), f32", "raw kWh", "crc"),
        ("relays/relay_1", "bus net, unit 1: coil 0 (function 1), bool", "raw", "bus_down"),
        ("well/level", "voltage on GPIO 34", "4 mA -> 0 mm, 20 mA -> 5000 mm", "broken_wire"),
        ("bed/moisture", "voltage on GPIO 35", "2540000 -> 0 %", "invalid"),
        ("flow/volume", "pulses on GPIO 33, rising edge", "pulses * 1/440 l", "pulses_lost"),
    ],
)
def test_where_a_value_comes_from(facts, point, place, value, reason):
    source = facts(point)["source"]
    assert place in source["place"] and value in source["value"] and reason in source["reasons"]


def test_pushed_telegrams_name_their_code(run, tmp_path):
    port = (
        '[[bus]]\nid = "p1"\nkind = "h1"\nport = "serial"\n[[device]]\nid = "house"\nprofile = "h1-port"\nbus = "p1"\n'
    )
    path = tmp_path / "site.toml"
    path.write_text(SITE[: SITE.index("[[bus]]")] + port)
    names = [name for name, *_ in compile_site(path, write_ids=False).body["points"]]
    told = json.loads(run(path, names[0], "--json").stdout)
    assert "bus p1: 1-0:" in told["source"]["place"] and "stale" in told["source"]["reasons"]


def test_a_stream_leads_to_its_point(facts):
    assert facts("meter/active_power/max")["point"] == "meter/active_power"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("meter/active_powr", "did you mean meter/active_power"),
        ("moisture", "did you mean bed/moisture?"),
        ("zzzzzz", "points: meter/frequency, meter/energy_import"),
    ],
)
def test_an_unknown_point_is_told_with_the_closest_names(run, site, name, hint):
    result = run(site, name)
    assert result.exit_code == 2 and result.stdout == ""
    assert f"this site has no point '{name}'" in result.stderr and hint in result.stderr
    told = json.loads(run(site, name, "--json").stdout)
    assert told["ok"] is False and hint in told["problems"][0]["hint"]


def test_a_site_with_mistakes_cannot_be_explained(run, site):
    site.write_text(SITE.replace("share = 0.25", "share = 2"))
    result = run(site, "meter/frequency")
    assert result.exit_code == 2 and "yard.toml:29" in result.stderr
    assert run(site.parent / "nowhere.toml", "a/b").exit_code == 2


def test_windows_and_reports_are_told(run, facts, site):
    site.write_text(
        SITE.replace('["mean", "max"] }', '["time_mean", "p90"] }\nreport = { change = 50, heartbeat_s = 900 }')
    )
    told = facts("meter/active_power")
    assert told["report"] == {"change": "50 W", "heartbeat_s": 900, "compiled": [50, 900]}
    assert "seconds it held" in told["window"]["outputs"]["time_mean"]
    assert "90 % * (n - 1)" in told["window"]["outputs"]["p90"]
    lines = run(site, "meter/active_power").stdout
    assert "one that differs by 50 W or more from the last reported or in quality, and one after 900 s" in lines
    assert "meter/active_power/p90, id" in lines and "at most every 60 s" in lines


def test_it_writes_nothing(run, site):
    run(site, "meter/frequency")
    assert [path.name for path in site.parent.iterdir()] == ["yard.toml"]


def test_the_reasons_are_those_of_the_device(facts):
    reasons = {*BUS_REASONS, *PUSHED_REASONS, *WINDOW_REASONS}
    for point in ("relays/relay_1", "well/level", "flow/volume"):
        reasons |= set(facts(point)["source"]["reasons"])
    assert reasons <= set(quality._WORDS)


# --- derived and private points

HOUSE = SITES / "house.toml"
BIN = """\
[[derived]]
id = "full"
kind = "bin"
distance = "well/level"
height = 5000
blanking = 30
full_at = 200
[derived.point.fill]
filters = [{ kind = "median", size = 5 }]
window = { period_s = 60, outputs = ["last", "p90"] }
report = { change = 1, heartbeat_s = 900 }
"""


def lines_of(result):
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_a_derived_point_is_told_from_its_sources_to_its_streams(run):
    flats = [f"flat-{number}/active_power" for number in range(1, 7)]
    assert lines_of(run(HOUSE, "flats/sum")) == [
        "flats/sum: active power in W, a gauge of class telemetry",
        "derived flats: sum, with every new reading of a source",
        *(f"source members: {name} in W" for name in flats),
        f"value y = {' + '.join(flats)}; kept in steps of 0.1 W",
        "bad while fewer than 6 of them are usable",
        "reasons: incomplete, overflow",
        "filters none: readings pass as they are",
        "window none: every reading that passes is a sample",
        "stream flats/sum, id 11: a gauge of class telemetry, at most every 60 s",
    ]


def test_tools_get_what_a_derived_point_is_made_of(run, site):
    site.write_text(SITE + BIN)
    body = compile_site(site, write_ids=False).body
    told = json.loads(run(site, "full/fill/p90", "--json").stdout)
    assert told["derived"]["kind"] == "bin" and "near_echo" in told["derived"]["reasons"]
    assert told["derived"]["sources"] == [{"key": "distance", "point": "well/level", "unit": "mm"}]
    assert "fill = volume(5000 - x)" in told["derived"]["formula"] and "emptied when" in told["derived"]["words"]
    _, exponent, specs, outputs, options = next(row for row in body["points"] if row[0] == "full/fill")
    assert told["exponent"] == exponent and told["report"]["compiled"] == options["report"]
    assert [spec for step in told["filters"] for spec in step["compiled"]] == specs == [["median", 5]]
    assert [step["from"] for step in told["filters"]] == ["site"] and told["privacy"] is None
    assert [stream["id"] for stream in told["streams"]] == [body["streams"][at][0] for _, at in outputs]


def test_every_point_of_a_site_is_found_and_told(run):
    body = compile_site(HOUSE, write_ids=False).body
    for name, *_ in body["points"]:
        assert lines_of(run(HOUSE, name))[0].startswith(f"{name}: ")
    assert any("phases/imbalance" in line for line in run(HOUSE, "imbalance").stderr.splitlines())


def test_no_simulated_day_of_what_is_derived(run):
    result = run(HOUSE, "common/difference", "--plot")
    assert result.exit_code == 2 and result.stdout == ""
    assert "'common/difference' is derived" in result.stderr
    assert "plot a source: house-meter/active_power" in result.stderr


def test_what_a_privacy_profile_does_is_told(run):
    told = json.loads(run(HOUSE, "flat-2/energy_import", "--json").stdout)
    assert told["read_s"] == 10 and told["period_s"] == 900
    privacy = told["privacy"]
    words = privacy.pop("words")
    assert privacy == {
        "profile": "billing", "pseudonym": True, "floor_s": 900, "output": "last",
        "local_only": False, "aggregate_only": False, "retention_h": 720,
    }  # fmt: skip
    assert "the last one in every 900 s" in words[0] and "pseudonym" in words[1] and "720 h" in words[2]


def test_a_hidden_point_makes_no_streams(run):
    lines = lines_of(run(HOUSE, "flat-2/active_power"))
    assert "privacy profile crowd: of all readings the mean in every 60 s goes on, the others are forgotten" in lines
    assert "aggregate_only: nobody sees it; it enters sums over at least 5 devices" in lines
    assert lines[-1] == "streams none: nothing of this point is stored or sent"
    assert not any(line.startswith(("stream ", "window", "flash")) for line in lines)
    assert lines[2].startswith("read every 10 s from bus rs485")


def test_what_stays_at_the_console_and_what_is_derived_from_it(run, site):
    home = "[privacy.home]\nfloor_s = 60\nlocal_only = true\npseudonym = true\nretention_h = 24\n"
    derived = '[[derived]]\nid = "both"\nkind = "difference"\nfirst = "well/level"\nminus = ["well-2/level"]\n'
    second = (
        '[[device]]\nid = "well-2"\nprofile = "loop-4-20ma-level"\npin = "A3"\n[device.point.level]\nspan = [0, 5000]\n'
    )
    text = SITE.replace('pin = "A1"\n', 'pin = "A1"\nprivacy = "home"\n').replace("[[bus]]", home + "[[bus]]", 1)
    site.write_text(text + second + derived + '[derived.point.difference]\nprivacy = "home"\n')
    told = json.loads(run(site, "both/difference", "--json").stdout)
    assert told["streams"] == [] and told["privacy"]["pseudonym"] is True
    assert told["privacy"]["words"][1:] == ["local_only: the console shows it, nothing of it is stored or sent"]


def test_the_factor_of_a_pulse_input_is_in_the_filter_of_its_counter(run, facts, site):
    def step(per_pulse):
        site.write_text(SITE.replace('"1/440"', f'"{per_pulse}"'))
        return facts("flow/volume")["filters"][0]["compiled"][0]

    for per_pulse in ("1/440", "5/1"):
        told = step(per_pulse)
        [point] = [row for row in compile_site(site, write_ids=False).body["points"] if row[0] == "flow/volume"]
        assert told == point[2][0]
    assert step("1/440") != step("5/1")
