"""The storm of power cuts: a short one over the whole life, and that each of its checks can fail."""

import json
import random
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from satama.cli import app
from satama.payloads.sample import Sample
from satama_sim.cabinet import SECOND
from satama_sim.pytest_plugin import missing
from satama_sim.storm import pool
from satama_sim.storm.powercut import MODES, Aftermath, Schedule, Truth, Violation
from satama_sim.storm.witness import Witness
from satama_sim.vm.path import VmMissing
from satama_sim.vm.umqtt import UmqttMissing


@pytest.mark.long
def test_no_cut_of_a_sample_of_all_loses_or_renames_anything(request):
    try:
        report = pool.storm(1, lambda truth: pool.some(truth, 24, 5), jobs=2, vm=request.config.getoption("--vm"))
    except (VmMissing, UmqttMissing) as error:
        missing(str(error))
        raise
    assert report["operations"] >= 2400 and len(report["modes"]) >= 6
    assert report["cuts"] == 24
    assert report["dropped"] > 100  # the journal ran full
    assert report["repeatable"]
    assert report["violations"] == []


# --- the plan

TRUTH = Truth(2400, Schedule(0, 0), "", {}, {}, set(), {}, {}, True)


def test_everything_is_each_mode_at_each_operation():
    assert sum(len(modes) for modes in pool.everything(TRUTH).values()) == 2400 * len(MODES) >= 14_400


def test_a_sample_is_spread_over_the_life_and_over_the_modes():
    plan = pool.some(TRUTH, 60, 1)
    assert sum(len(modes) for modes in plan.values()) == 60
    assert min(plan) < 40 and max(plan) >= 2360
    assert {mode for modes in plan.values() for mode in modes} == set(MODES)
    assert plan == pool.some(TRUTH, 60, 1) != pool.some(TRUTH, 60, 2)


@pytest.mark.parametrize("text", ["", "5", "5:scorched", "2400:weak", "x:weak"])
def test_one_cut_is_named_as_it_is_reported(text):
    assert pool.one(TRUTH, "17:torn50") == {17: ("torn50",)}
    with pytest.raises(ValueError, match="--only"):
        pool.one(TRUTH, text)


# --- the checks, each on a gateway that did it wrong

NAMES = {"a": "meter/power", "b": "meter/energy"}
START_S = 1_796_119_200
CUT_US = 100 * SECOND


def sample(seq, wire="a", value=7, epoch=1, at=None):
    return Sample(wire, START_S + (seq if at is None else at), value, "", epoch, seq)


def judge(samples, ledger=None, lost_max=10, told=((1, 1),)):
    """Violations of a gateway that delivered `samples`, where numbers 1 to 99 of "a" were taken, one a second."""
    witness = Witness("root/site/gateway", lambda: 0)
    for one in samples:
        witness._take([one])
    witness.events = [{"ep": epoch, "sq": seq, "event": "leak", "utc": START_S} for epoch, seq in told]
    witness.events.append({"ep": 2, "sq": 1, "event": "started", "lost_max": lost_max, "utc": START_S})
    keys = {(1, seq, "a"): seq * SECOND for seq in range(1, 100)}
    values, delivered = dict.fromkeys(keys, "7 "), set(keys) - {(1, 1, "a")}
    truth = Truth(0, Schedule(0, 0), "", values, keys, delivered, {(1, 1): 5 * SECOND}, NAMES, True)
    cabinet = SimpleNamespace(timeline=SimpleNamespace(now_us=CUT_US))
    after = Aftermath(SimpleNamespace(cabinet=cabinet, witness=witness, _first=0, _end=1), truth, random.Random(1))
    rows = ledger or [["meter/power", 99, 99, 0, 0, 0]]
    said = {"streams": rows, "queued": 0, "balanced": True}
    return [kind for check in (after._samples, after._balance) for kind, _ in check(said)]


ALL = [sample(seq) for seq in range(1, 100)]


def test_a_gateway_that_did_all_right_is_not_blamed():
    assert judge(ALL) == []
    assert judge([*ALL, ALL[50]]) == []  # the same again under the same identity


def test_what_was_younger_than_the_bound_may_be_lost():
    assert judge(ALL[:90], [["meter/power", 90, 90, 0, 0, 0]]) == []
    assert judge(ALL[:88], [["meter/power", 88, 88, 0, 0, 0]]) == ["missing"]


def test_more_losses_than_the_start_said_are_noticed():
    assert judge(ALL[:90], [["meter/power", 90, 90, 0, 0, 0]], lost_max=9) == []
    assert judge(ALL[:90], [["meter/power", 90, 90, 0, 0, 0]], lost_max=8) == ["unsaid"]


def test_an_event_that_did_not_come_is_missed():
    assert judge(ALL, told=()) == ["missing"]


def test_a_sample_that_is_neither_there_nor_counted_as_dropped_is_missed():
    rest = ALL[:30] + ALL[31:]
    assert judge(rest, [["meter/power", 98, 98, 0, 0, 0]]) == ["missing"]
    assert judge(rest, [["meter/power", 99, 98, 0, 1, 0]]) == []


def test_a_dropped_sample_that_is_not_counted_is_told_from_a_lost_one():
    assert judge(ALL[1:], [["meter/power", 98, 98, 0, 0, 0]]) == ["uncounted"]


def test_an_acknowledged_sample_under_a_new_identity_is_noticed():
    assert judge([*ALL, sample(7, epoch=2)], [["meter/power", 100, 100, 0, 0, 0]]) == ["identity"]


def test_another_value_is_noticed_at_once_and_against_the_truth():
    assert judge([*ALL, sample(50, value=8)]) == ["altered"]
    assert judge([*ALL[:49], sample(50, value=8), *ALL[50:]]) == ["altered"]


def test_a_ledger_that_does_not_balance_or_claims_too_much_is_noticed():
    assert judge(ALL, [["meter/power", 99, 97, 1, 0, 0]]) == ["ledger"]
    assert judge(ALL, [["meter/power", 100, 100, 0, 0, 0]]) == ["ledger"]


# --- the command

REPORT = {
    "seed": 1, "operations": 2400, "modes": list(MODES), "cuts": 3, "violations": [], "samples": 9, "dropped": 1,
    "repeatable": True, "jobs": 1, "real_s": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        ({"violations": [Violation(5, "weak", 1, "missing", "meter/power: 1 sample")._asdict()]}, 1),
        ({"repeatable": False}, 1),
    ],
)
def test_the_command_says_what_it_found(monkeypatch, change, code):
    monkeypatch.setattr(pool, "storm", lambda *args, **options: REPORT | change)
    result = CliRunner().invoke(app, ["storm", "powercut", "--json"])
    assert result.exit_code == code
    assert json.loads(result.stdout.splitlines()[-1]) == REPORT | change
    text = CliRunner().invoke(app, ["storm", "powercut"]).stdout
    assert ("5:weak missing" in text) == bool((REPORT | change)["violations"])


def test_wrong_use_is_code_2(monkeypatch):
    monkeypatch.setattr(pool, "find_truth", lambda *args, **options: TRUTH)
    result = CliRunner().invoke(app, ["storm", "powercut", "--only", "5:scorched"])
    assert result.exit_code == 2 and "torn25" in result.stderr
