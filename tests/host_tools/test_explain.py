"""`satama explain`: a point in words and as data, from the wire to its streams."""

import json

import pytest
from typer.testing import CliRunner

from gateway.core import quality
from satama.cli import app
from satama.commands_explain import _BUS_REASONS, _PUSHED_REASONS, _WINDOW_REASONS
from satama.compiler import compile_site

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
            (number, stream, kind, period_s) for number, stream, _, _, kind, _, period_s in streams
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
    assert f"this site reads no point '{name}'" in result.stderr and hint in result.stderr
    told = json.loads(run(site, name, "--json").stdout)
    assert told["ok"] is False and hint in told["problems"][0]["hint"]


def test_a_site_with_mistakes_cannot_be_explained(run, site):
    site.write_text(SITE.replace("share = 0.25", "share = 2"))
    result = run(site, "meter/frequency")
    assert result.exit_code == 2 and "yard.toml:29" in result.stderr
    assert run(site.parent / "nowhere.toml", "a/b").exit_code == 2


def test_it_writes_nothing(run, site):
    run(site, "meter/frequency")
    assert [path.name for path in site.parent.iterdir()] == ["yard.toml"]


def test_the_reasons_are_those_of_the_device(facts):
    reasons = {*_BUS_REASONS, *_PUSHED_REASONS, *_WINDOW_REASONS}
    for point in ("relays/relay_1", "well/level", "flow/volume"):
        reasons |= set(facts(point)["source"]["reasons"])
    assert reasons <= set(quality._WORDS)
