"""Windows and reports of a site: what makes no sense is refused with a way out, and streams are told rightly."""

import re
from pathlib import Path

import pytest

from gateway.process.window import MOST, Window
from satama.compiling.compiler import compile_site
from satama.core.problems import Problems
from satama.resolving.resolve import resolve_site
from satama.resolving.window_rules import told_output
from satama.site_file.points import MOST_OUTPUTS, OUTPUTS

HEAD = """\
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
"""
DEVICE = """\
[[device]]
id = "meter"
profile = "eastron-sdm120"
bus = "line"
unit = 7
points = []
[device.point.{point}]
period_s = 10
{options}
"""


@pytest.fixture
def resolve(tmp_path):
    def resolve(options, point="active_power"):
        path = tmp_path / "yard.toml"
        path.write_text(HEAD + DEVICE.format(point=point, options=options))
        return resolve_site(path).channels[0]

    return resolve


@pytest.fixture
def refused(resolve):
    """What is told of the one mistake, with the way out."""

    def refused(options, point="active_power"):
        with pytest.raises(Problems) as caught:
            resolve(options, point)
        (problem,) = caught.value.problems
        assert problem.line and problem.hint
        return f"{problem.what} -> {problem.hint}"

    return refused


def window(*outputs, period_s=60):
    return f"window = {{ period_s = {period_s}, outputs = {list(outputs)} }}"


def test_every_output_is_a_stream_of_its_own(resolve):
    channel = resolve(window("mean", "count", "time_mean", "p5", "p99"))
    kind = ("gauge", 2, 60)
    assert [channel.stream(output) for output in channel.outputs] == [
        ("meter/active_power/mean", *kind, "W", -1),
        ("meter/active_power/count", *kind, "count", 0),
        ("meter/active_power/time_mean", *kind, "W", -1),
        ("meter/active_power/p5", *kind, "W", -1),
        ("meter/active_power/p99", *kind, "W", -1),
    ]
    Window(channel.outputs, channel.most_readings)  # the device knows them
    assert channel.most_readings == 6 and channel.report is None


def test_a_count_is_compiled_in_its_own_unit(resolve, tmp_path):
    resolve(window("last", "count"), "energy_import")
    compiled = compile_site(tmp_path / "yard.toml", write_ids=False)
    assert {(s.name.rpartition("/")[2], s.unit, s.exponent, s.kind) for s in compiled.streams} == {
        ("last", "kWh", -2, "counter"),
        ("count", "count", 0, "gauge"),
    }


@pytest.mark.parametrize("output", ["p0", "p100", "p05", "median", "P50", "each", ""])
def test_an_unknown_output_is_refused(refused, output):
    assert "is no output of a window -> mean, min, max, last, delta, count, time_mean" in refused(window(output))


def test_an_output_that_is_no_text_is_refused(refused):
    assert "is no output of a window" in refused("window = { period_s = 60, outputs = [50] }")


@pytest.mark.parametrize(
    ("point", "output"),
    [("energy_import", output) for output in ("mean", "time_mean", "p50", "min")] + [("active_power", "delta")],
)
def test_an_output_that_says_nothing_of_such_a_point_is_refused(refused, point, output):
    assert f"'{output}' of a" in refused(window(output), point)


def test_quantiles_of_more_readings_than_fit_are_refused(refused, resolve):
    resolve(window("p50", period_s=MOST * 10))
    told = refused(window("p50", period_s=7200))
    assert (
        "720 readings, more than the 360 that fit -> a window of at most 3600 s, or a period_s of at least 20" in told
    )
    resolve(window("mean", "time_mean", period_s=86400))


def test_there_are_not_more_outputs_than_a_point_can_bear(refused):
    assert "at most 12" in refused(window(*[f"p{n}" for n in range(1, MOST_OUTPUTS + 2)]))


def test_an_output_twice_is_refused(refused):
    assert "'p50' stands twice" in refused(window("p50", "mean", "p50"))


def test_a_report_is_compiled_to_steps(resolve):
    assert resolve("report = { change = 0.125 }", "frequency").report == [12, 3600]
    assert resolve("report = { change = 50, heartbeat_s = 600 }\n" + window("mean", "max")).report == [500, 600]
    assert resolve("report = { change = 1 }\n" + window("last"), "energy_import").report == [100, 3600]


@pytest.mark.parametrize(
    ("options", "point", "told"),
    [
        ("report = { change = 0.05 }", "active_power", "change = 0.05 is less than can be published"),
        ("report = { change = 1e25 }", "active_power", "change = 1E+25 is more than can be published"),
        ("report = { change = 0 }", "active_power", "out of range"),
        ("report = { change = 1, heartbeat_s = 10 }", "active_power", "a value comes every 10 s -> more than 10"),
        ("report = { change = 1, heartbeat_s = 60 }\n" + window("mean"), "active_power", "comes every 60 s"),
        ("report = { heartbeat_s = 600 }", "active_power", "'change' is missing"),
        ("report = { change = 1 }\n" + window("delta"), "energy_import", "'delta' adds up over windows"),
        ("report = { change = 1 }\n" + window("mean", "count"), "active_power", "'count' adds up over windows"),
        (
            'report = { change = 1 }\nfilters = [{ kind = "deadband", delta = 5 }]',
            "active_power",
            "'report' does what the filter 'deadband' has done already",
        ),
    ],
)
def test_a_report_that_makes_no_sense_is_refused(refused, options, point, told):
    assert told in refused(options, point)


def test_the_page_names_every_output():
    page = (Path(__file__).resolve().parents[3] / "docs" / "technician.md").read_text()
    table = page.split("## Windows")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)`[^|]* \| ([^|]+) \|", table, re.MULTILINE))
    assert set(rows) == {*OUTPUTS, "p1"}
    assert all(told_output(output) for output in (*OUTPUTS, "p1", "p99"))
