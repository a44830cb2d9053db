"""What a site asks of its flash: how long an outage fits, how long the chip lives, and what is refused."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from typer.testing import CliRunner

from satama.boards.board import load_board
from satama.cli import app
from satama.compiling.compiler import plan_site
from satama.core.problems import Problems
from satama.planning.flash_budget import fair_percents, flash_budget

SITES = Path(__file__).parents[3] / "sim/sites"
HEAD = """
[site]
name = "yard"
gateway = "gw"
board = "esp32-devkit"
[network]
kind = "wifi"
ssid = "yard"
password = "fish-harbour"
[mqtt]
host = "broker.example"
insecure = true
"""


def body(streams=(), journal=(5, 35), pulses=0, counters=0):
    """A compiled site of streams given as (class, period in s, how many)."""
    rows = [[0, "x", "W", 0, "gauge", cls, period_s, 0] for cls, period_s, count in streams for _ in range(count)]
    return {
        "streams": rows,
        "journal": {"percents": list(journal)},
        "polls": [[10, [], [["pulse"]] * pulses]],
        "points": [["p", 0, [["counter"]], []]] * counters,
        "derived": [],
    }


def budget(*streams, writes=0, **options):
    return flash_budget(load_board("esp32-devkit"), body(streams, **options), writes)


def written(tmp_path, text):
    path = tmp_path / "yard.toml"
    path.write_text(HEAD + text)
    return path


def test_the_reference_load_fits_for_days_and_lasts_for_decades():
    """100 points a minute, a third of them counters, on a board with 4 MiB: what design and benchmark reckon with."""
    found = flash_budget(load_board("esp32-devkit"), body([(1, 60, 34), (2, 60, 66)], (5, 35), counters=34), 0)
    _, counter, telemetry = found.rings
    assert (counter.samples_per_h, telemetry.samples_per_h) == (34 * 60, 66 * 60)
    total = counter.bytes_per_h + telemetry.bytes_per_h
    assert Fraction(14, 10) < total / 6000 < 2
    assert found.outage_h > 72 and found.years > 50
    assert found.writes_per_h > 2 * 120  # a record and its acknowledgement


@pytest.mark.parametrize("streams", [[(1, 60, 34), (2, 60, 66)], [(0, 10, 3), (1, 60, 5), (2, 900, 200)]])
def test_fair_shares_cover_the_same_outage(streams):
    site = body(streams)
    site["journal"]["percents"] = list(fair_percents(site))
    rings = flash_budget(load_board("esp32-devkit"), site, 0).rings
    hours = [ring.outage_h for ring in rings if site["journal"]["percents"][0] > 5 or ring.name != "alarm"]
    assert max(hours) < min(hours) * Fraction(13, 10)


def test_twice_the_rate_is_half_the_outage_and_half_the_life():
    slow, fast = budget((2, 60, 50)).rings[2], budget((2, 30, 50)).rings[2]
    assert Fraction(49, 100) < fast.outage_h / slow.outage_h < Fraction(51, 100)
    assert Fraction(49, 100) < fast.years / slow.years < Fraction(51, 100)


def test_totals_that_are_written_too_often_are_refused():
    assert not list(budget(pulses=2, writes=8640).faults())
    [(what, hint)] = budget(pulses=4, writes=86400).faults()
    assert "would be worn out after" in what and "persist_s" in hint
    assert not list(budget(counters=100).faults())
    assert "of the state ring, which has 3072" in [what for what, _ in budget(counters=140).faults()][-1]


def test_a_site_that_wears_its_flash_out_is_refused_with_the_way_out(tmp_path):
    water = '[[device]]\nid = "water-{0}"\nprofile = "pulse-water"\npin = "P{0}"\nperiod_s = 1\n'
    path = written(tmp_path, water.format(1) + water.format(2))
    planned = plan_site(path)
    assert [problem.key for problem in planned.refused] == ["journal"]
    result = CliRunner().invoke(app, ["plan", str(path)])
    assert result.exit_code == 1 and "would be worn out after" in result.stderr and "persist_s" in result.stderr
    path.write_text(path.read_text().replace("period_s = 1", "period_s = 1\npersist_s = 10"))
    assert not plan_site(path).refused


def test_plan_tells_people_and_tools():
    result = CliRunner().invoke(app, ["plan", str(SITES / "sdm630.toml")])
    assert result.exit_code == 0 and "flash: an outage of" in result.stdout and "telemetry" in result.stdout
    said = json.loads(CliRunner().invoke(app, ["plan", str(SITES / "sdm630.toml"), "--json"]).stdout)["flash"]
    assert set(said) == {"outage_h", "writes_per_h", "years", "rings", "state"}
    assert said["outage_h"] == min(ring["outage_h"] for ring in said["rings"] if ring["samples_per_h"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("alarm_percent = 60\ncounter_percent = 40", "leaves less than 5 percent for telemetry"),
        ("alarm_percent = 0", "alarm_percent"),
        ("durability_s = 0", "durability_s"),
        ("durability_s = 61", "durability_s"),
        ("telemetry_days = -1", "telemetry_days"),
        ("percent = 4", "percent"),
    ],
)
def test_mistakes_in_the_block_are_named(tmp_path, text, what):
    path = written(tmp_path, f'[journal]\n{text}\n[[device]]\nid = "w"\nprofile = "pulse-water"\npin = "P1"\n')
    with pytest.raises(Problems) as caught:
        plan_site(path)
    assert what in str(caught.value) and f"{path}:" in str(caught.value)


def test_what_the_site_says_counts(tmp_path):
    text = "[journal]\ndurability_s = 5\nalarm_percent = 20\ncounter_percent = 30\ntelemetry_days = 7\n"
    path = written(tmp_path, text + '[[device]]\nid = "w"\nprofile = "pulse-water"\npin = "P1"\n')
    assert plan_site(path).body["journal"] == {"durability_s": 5, "percents": [20, 30], "ages_h": [0, 0, 168]}
