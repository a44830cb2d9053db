"""`satama explain --plot`: a simulated day through the device's own filters, as text and as SVG."""

import builtins
import json
import xml.etree.ElementTree as ElementTree

import pytest
from typer.testing import CliRunner

from gateway.core import quality
from satama.cli import app
from satama.core.places import SITES
from satama.core.problems import Problems
from satama.explaining.day import DAY_S, Day, simulate
from satama.explaining.plot import as_lines, as_svg, axis, runs
from satama.resolving.resolve import resolve_site

DEMO = SITES / "demo.toml"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def resolved():
    return resolve_site(DEMO)


@pytest.fixture(scope="module")
def channel(resolved):
    return next(channel for channel in resolved.channels if channel.name == "bin-1/distance")


@pytest.fixture(scope="module")
def day(resolved, channel):
    return simulate(resolved, channel, 1)


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(app, ["explain", *map(str, arguments)], env={"COLUMNS": "100"})


def test_a_day_is_every_reading_of_24_hours(day, channel):
    assert [second for second, _ in day.raw] == [*range(0, DAY_S, channel.period_s)]
    assert [second for second, _ in day.filtered] == [second for second, _ in day.raw]
    assert day.odd == 12 and day.missing == sum(mantissa is None for _, mantissa in day.raw) > 0


def test_what_the_filters_refused_is_known(day):
    raw = dict(day.raw)
    outside = {second for second, mantissa in day.raw if mantissa is not None and not 500 <= mantissa <= 15000}
    assert outside and {second for second, _, _ in day.refused} == outside
    assert all(raw[second] == mantissa and reason == "out_of_range" for second, mantissa, reason in day.refused)
    assert {reason for _, _, reason in day.refused} <= set(quality._WORDS)


def test_the_median_takes_the_spikes_away(day):
    def jumps(values):
        return sum(abs(b - a) > 1000 for run in runs(values) for (_, a), (_, b) in zip(run, run[1:], strict=False))

    assert jumps(day.raw) > 12 and jumps(day.filtered) <= 2  # the crew empties the bin once


def test_the_seed_makes_the_day(resolved, channel, day):
    assert simulate(resolved, channel, 1) == day
    assert simulate(resolved, channel, 2).raw != day.raw
    calm = simulate(resolved, channel, 1, spikes=0)
    assert calm.odd == 0 and calm.refused == []
    assert sum(a != b for a, b in zip(calm.raw, day.raw, strict=True)) <= 12


def test_all_points_of_the_demo_have_a_day(resolved):
    for channel in resolved.channels:
        made = simulate(resolved, channel, 1)
        assert len(made.raw) == DAY_S // channel.period_s, channel.name
        assert any(mantissa is not None for _, mantissa in made.filtered), channel.name


def test_what_is_not_reported_still_holds():
    values = [(0, 5), (10, 5), (20, None), (30, 7)]
    assert list(runs(values)) == [[(0, 5), (10, 5)], [(30, 7)]]


# --- pictures


LADDER = Day(
    raw=[(0, 0), (DAY_S // 2, 100), (DAY_S - 1, 900)],
    filtered=[(0, 0), (DAY_S // 2, 100), (DAY_S - 1, None)],
    refused=[(DAY_S - 1, 900, "implausible")],
)


def test_the_scale_is_that_of_what_passed():
    assert axis(LADDER) == (-10, 110)
    assert axis(Day()) == (-1, 1)
    assert axis(Day(raw=[(0, 5)], filtered=[(0, None)])) == (4, 6)


@pytest.mark.parametrize("columns", [0, 40, 77, 120, 1000])
def test_lines_fit_the_terminal(day, columns):
    lines = list(as_lines(day, -1, "mm", columns))
    assert max(map(len, lines)) <= min(max(columns, 40), 200)
    assert len([line for line in lines if "┤" in line]) == 16
    assert lines[-1].split() == ["0", "6", "12", "18", "24", "h"]
    assert " mm ┤" in lines[1] and "raw" in lines[0]


def test_dots_rise_from_left_to_right_and_the_refused_is_marked_at_the_edge():
    lines = list(as_lines(LADDER, 0, "W", 60))
    raw, filtered = lines[1:9], lines[10:18]
    assert raw[0].endswith("x") and sum(line.count("x") for line in raw) == 1
    left = [line.split("┤")[1][:5].strip() for line in filtered]
    middle = [line.split("┤")[1][20:].strip() for line in filtered]
    assert [bool(cell) for cell in left].index(True) > [bool(cell) for cell in middle].index(True)
    assert raw[0].startswith("110 W ┤") and raw[-1].startswith("-10 W ┤")


def test_the_svg_is_well_formed_and_marks_what_was_refused(day):
    root = ElementTree.fromstring(as_svg(day, "a <bin> & more", -1, "mm"))
    assert root.tag == f"{SVG}svg" and root.find(f"{SVG}title").text == "a <bin> & more"
    crosses = [path for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    assert len(crosses) == len(day.refused)
    points = [point.split(",") for line in root.iter(f"{SVG}polyline") for point in line.get("points").split()]
    assert 100 < len(points) < 8000
    assert all(90 <= float(x) <= 940 and 50 <= float(y) <= 430 for x, y in points)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "0 h" in texts and "24 h" in texts and any(text.endswith(" mm") for text in texts)


# --- the command


def test_the_command_draws_and_writes(run, tmp_path):
    out = tmp_path / "bin.svg"
    result = run(DEMO, "bin-1/distance", "--plot", "--seed", 3, "--out", out)
    assert result.exit_code == 0, result.output
    assert "a simulated day, seed 3: 17280 readings, 12 made odd for this picture" in result.stdout
    assert "x: refused" in result.stdout and f"wrote {out}" in result.stdout
    assert ElementTree.parse(out).getroot().tag == f"{SVG}svg"


def test_tools_get_what_became_of_the_readings(run, day):
    told = json.loads(run(DEMO, "bin-1/distance", "--plot", "--json").stdout)
    assert told["plot"] == {"seed": 1, **day.as_data()}
    assert told["plot"]["refused"] == {"out_of_range": len(day.refused)}
    assert "plot" not in json.loads(run(DEMO, "bin-1/distance", "--json").stdout)


@pytest.mark.parametrize("option", [("--seed", 2), ("--spikes", 0), ("--out", "x.svg")])
def test_options_of_the_picture_need_it(run, option):
    result = run(DEMO, "bin-1/distance", *option)
    assert result.exit_code == 2 and f"{option[0]}: belongs to --plot" in result.stderr


def test_a_file_that_cannot_be_written_is_told(run, tmp_path):
    result = run(DEMO, "bin-1/distance", "--plot", "--out", tmp_path / "nowhere" / "bin.svg")
    assert result.exit_code == 1 and "the file cannot be written" in result.stderr


def test_an_unknown_point_is_wrong_use(run):
    assert run(DEMO, "bin-1/distanse", "--plot").exit_code == 2
    assert run(DEMO, "bin-1/distance", "--plot", "--spikes", -1).exit_code == 2


def test_without_the_simulator_it_says_what_is_missing(run, resolved, channel, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("satama_sim"):
            raise ModuleNotFoundError("No module named 'pymodbus'", name="pymodbus")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Problems, match="needs pymodbus"):
        simulate(resolved, channel, 1)
    result = run(DEMO, "bin-1/distance", "--plot")
    assert result.exit_code == 2 and "pip install 'satama[sim]'" in result.stderr
