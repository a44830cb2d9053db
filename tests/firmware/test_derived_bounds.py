"""process.derived under whatever comes: nothing raises, nothing leaves its bounds, CPython and the VM agree."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from derived_runs import LIMIT, QUALITIES, STEPS, VALUES
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import SettingError
from gateway.process import derived
from gateway.process.derived import keeping
from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing, find_vm

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


def specs(rng):
    """One of every kind; most are sound, some have numbers that are refused."""

    def some(*more):
        return rng.choice([1, 2, 3, 10, 1000, *more])

    large = rng.choice([1, 7, 2**31, LIMIT])
    xs = sorted(rng.sample(range(-2000, 9000), rng.randint(2, 16)))
    curve = [[x, rng.choice([0, 50, 1000, LIMIT, -5])] for x in xs]
    limits = rng.choice([[], [320, 120], [LIMIT, -LIMIT], [5, 5]])
    yield ["sum", [0, 1], [2], rng.choice([1, 2, 3]), some(0), [large, -1]]
    yield ["imbalance", [0, 1, 2], [3], some(LIMIT, 0), large, [1, 1, rng.choice([1, 10])]]
    yield ["rate", [0], [1], large, some(LIMIT), some(604800, 604801)]
    yield ["total", [0], [1], rng.choice([large, -large, 0]), some(LIMIT), some(604800)]
    yield ["temperature_alarm", [0], [1], rng.choice([[], [50, 40], [1, 1]]), rng.choice([[], [5, 20]]), some(), 60]
    yield ["tilt", [0], [1], rng.choice([0, large]), some(LIMIT), 0, some(), some()]
    yield ["leak", [0, 1], [2], rng.choice([[], [0, 5, 60]]), rng.choice([[], [0, 0, 5]]), some()]
    yield ["topp", [0], [1, rng.choice([2, -1])], large, some(LIMIT), 1000, 1000, limits]
    yield ["table", [0], [1, 2], curve, 1000, some(LIMIT), limits]
    air = rng.choice([[], [1, 10, 343_420], [large, LIMIT, LIMIT]])
    full = rng.choice([[curve, large, some(LIMIT)], [[[0, 0], [1200, 100]], 10, 1]])
    sensor = [rng.choice([1200, LIMIT]), rng.choice([0, 30]), rng.choice([0, LIMIT])]
    course = [[some(604800), large, 1], [1, 60, rng.choice([43200, LIMIT])]]
    yield ["bin", [0, 1], [2, 3, 4, rng.choice([5, -1])], sensor, full, 1000, air, [300, some()], *course]


def within(results, step):
    assert len(results) == len(step.outputs)
    for result in results:
        if result is not None:
            mantissa, byte = result
            assert type(mantissa) is int and abs(mantissa) <= LIMIT
            assert type(byte) is int and 0 <= byte < 192


@settings(max_examples=150)
@given(
    st.integers(),
    st.lists(st.tuples(st.lists(st.tuples(VALUES, QUALITIES), min_size=3, max_size=3), STEPS), max_size=40),
)
def test_nothing_raises_and_nothing_leaves_its_bounds(seed, rows):
    for spec in specs(random.Random(seed)):
        told = []
        try:
            step = derived.build(spec, lambda *event, told=told: told.append(event))
        except SettingError:
            continue
        now_s = 0
        for row, passed in rows:
            now_s = max(0, now_s + passed)
            count = len(spec[1])
            fresh = tuple(byte % 2 == 0 for _, byte in row[:count])
            within(step.derive(row[:count], fresh, now_s, now_s, False), step)
        step.restore(step.kept())
        assert len(step.kept()) <= 16 and len(told) <= len(rows)
        for event, point, about in told:
            assert type(event) is str and point in (*spec[1], *spec[2])
            assert all(type(key) is str and (type(v) is str or abs(v) <= LIMIT) for key, v in about)


def test_every_kind_is_tried_and_most_of_them_are_sound():
    built = {}
    for seed in range(60):
        for spec in specs(random.Random(seed)):
            try:
                derived.build(spec, None)
                built[spec[0]] = built.get(spec[0], 0) + 1
            except SettingError:
                pass
    assert len(built) == 10 and min(built.values()) >= 10, built


@pytest.mark.parametrize(
    "spec",
    [
        [],
        ["sum"],
        ["other", [0], [1], 1],
        [1, [0], [1]],
        ["sum", [], [1], 1, 1, []],
        ["sum", [0], [1, 2], 1, 1, [1]],
        ["sum", [0], [1], 1, 1],
        ["sum", [0], [1], 1, 1, [1, 1]],
        ["sum", [0], [1], 1, 1, [LIMIT + 1]],
        ["sum", [0], [1], 1, "1", [1]],
        ["sum", [0], [-2], 1, 1, [1]],
        ["sum", [[0]], [1], 1, 1, [1]],
        ["rate", [0, 1], [2], 1, 1, 60],
        ["table", [0], [1, 2], [[0, 1]], 1000, 1000, []],
        ["table", [0], [1, 2], [[5, 1], [5, 2]], 1000, 1000, []],
        ["leak", [0], [1], [], [0, 0, 5], 60],
        ["leak", [0], [1], [], [], 60],
    ],
)
def test_a_spec_that_is_wrong_is_refused(spec):
    with pytest.raises(SettingError):
        derived.build(spec, None)


class Flash(dict):
    """As journal.state.State."""

    def __init__(self):
        self.writes = 0

    def put(self, key, value):
        assert key == keeping.KEY and len(value) <= 512
        self[key] = value
        self.writes += 1
        return True


def total(value=0):
    step = derived.build(["total", [0], [1], 1, 1, 300], None)
    step.restore(value.to_bytes(8, "big"))
    return step


def value_of(step):
    return int.from_bytes(step.kept(), "big")


def test_totals_are_found_by_name_after_a_deploy_and_flash_is_written_each_quarter_of_an_hour():
    flash, step = Flash(), total()
    keeper = keeping.Keeper(flash, [("a/volume", step), ("b/volume", total(7))])
    for now_s in range(0, 3600, 10):
        step.derive([(5, 0)], (True,), now_s, now_s, False)
        keeper.second(now_s)
    assert flash.writes == 3 and value_of(step) == 3590 * 5
    keeper.keep()
    other, added = total(), total()
    keeping.Keeper(flash, [("c/volume", added), ("b/volume", other), ("a/volume", step)])
    assert (value_of(other), value_of(added), value_of(step)) == (7, 0, 3590 * 5)


def test_a_damaged_value_and_more_than_fits_do_no_harm():
    for data in (b"\xff" * 30, b"abc", bytes(512)):
        flash, step = Flash(), total(3)
        flash[keeping.KEY] = data
        keeping.Keeper(flash, [("a/volume", step)]).keep()
        assert value_of(step) == 3
    flash, steps = Flash(), [(f"t{at}/volume", total(at)) for at in range(60)]
    keeping.Keeper(flash, steps).keep()
    again = [(name, total()) for name, _ in steps]
    keeping.Keeper(flash, again)
    assert [value_of(step) for _, step in again] == [*range(39), *[0] * 21]


# Runs on both. One line per case: every result, and what was reported.
PLAYER = """
import json
import sys
from gateway.core.errors import SettingError
from gateway.process import derived

for line in open(sys.argv[1]):
    spec, calls = json.loads(line)
    told = []
    try:
        step = derived.build(spec, lambda event, point, about: told.append((event, point, [list(pair) for pair in about])))
    except SettingError:
        print("refused")
        continue
    made = []
    for readings, now_s in calls:
        readings = [tuple(reading) for reading in readings[: len(spec[1])]]
        made.append(step.derive(readings, (True,) * len(readings), now_s, now_s, True))
    kept = step.kept()
    step.restore(kept)
    print(made, told, list(kept), list(step.kept()))
"""


def test_cpython_and_the_vm_agree(request, tmp_path):
    try:
        vm = find_vm(request.config.getoption("--vm", default=None))
    except VmMissing as error:
        missing(str(error))
    rng, cases = random.Random(11), []
    for _ in range(40):
        for spec in specs(rng):
            now_s, calls = rng.choice([0, 2**30 - 9]), []
            for _ in range(40):
                now_s = max(0, now_s + rng.choice([0, 1, 1, 10, 60, -1, -3600, 2**31]))
                values = [rng.randint(0, 1300), rng.randint(-9, 9), rng.randint(-LIMIT, LIMIT)]
                row = [[rng.choice(values), rng.choice([0, 0, 0, 72, 129, 135])] for _ in range(3)]
                calls.append([row, now_s])
            cases.append([spec, calls])
    player, lines, shim = tmp_path / "player.py", tmp_path / "cases", tmp_path / "shim"
    player.write_text(PLAYER)
    lines.write_text("".join(json.dumps(case) + "\n" for case in cases))
    shim.mkdir()
    (shim / "micropython.py").write_text("def const(value):\n    return value\n")

    def results(command, paths):
        environment = {**os.environ, "MICROPYPATH": str(FIRMWARE), "PYTHONPATH": os.pathsep.join(map(str, paths))}
        arguments = [*command, str(player), str(lines)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    here, there = results([sys.executable], [shim, FIRMWARE]), results(vm, [])
    assert sum(line != "refused" for line in here) > 200
    for case, ours, theirs in zip(cases, here, there, strict=True):
        assert ours == theirs, case[0]
