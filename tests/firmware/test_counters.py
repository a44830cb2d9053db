"""process.counters: what outlives a power cut, and exchanges that somebody declares; the same on the VM."""

import json
import os
import random
import subprocess
import sys
from binascii import crc32
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.journal import state as state_ring
from gateway.process import counter_rows
from gateway.process.counter import Counter, Jump
from gateway.process.counters import Counters
from gateway.service import exchange
from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing, find_vm

LIMIT = 2**63 - 1
EXCHANGED = quality.pack(quality.UNCERTAIN, quality.EXCHANGED)
RESET = quality.pack(quality.UNCERTAIN, quality.RESET)
HOUR = 3600


class Flash(dict):
    """As journal.state.State; counts the writes, and may fail."""

    writes = 0
    works = True

    def put(self, key, value):
        assert 16 <= key <= 47 and len(value) <= 512
        self.writes += 1
        if self.works:
            self[key] = value
        return self.works


class Gateway:
    """The counters of a site from one start to the next."""

    def __init__(self, flash, names=("m/energy",), exponent=-1, settings=(0, 10, 1, 3)):
        self.events = []
        self.counters = Counters(flash)
        self.all = [Counter(point, self.heard, *settings) for point in range(len(names))]
        for counter, name in zip(self.all, names, strict=True):
            self.counters.adopt(counter, name, exponent)

    def heard(self, event, point, about):
        self.events.append((event, dict(about)))

    def read(self, value, now_s, point=0):
        got = self.all[point].apply(value, 0, now_s)
        self.counters.tend(now_s)
        return got

    def declare(self, old_end, new_start, now_s, old="", new="", point=0):
        return self.counters.declare(point, old_end, new_start, old, new, now_s)


@pytest.fixture
def flash():
    return Flash()


# --- what outlives a power cut


def test_a_total_goes_on_after_a_power_cut(flash):
    first = Gateway(flash)
    for i, value in enumerate([1000, 5, 6, 7]):
        got = first.read(value, 10 + 10 * i)
    assert got == (1007, RESET)
    assert Gateway(flash).read(20, 3) == (1020, 0)


def test_flash_learns_of_a_reading_once_an_hour_and_of_an_offset_at_once(flash):
    gateway = Gateway(flash)
    gateway.read(1000, 1)
    at_start = flash.writes
    for now_s in range(10, 10 + 6 * HOUR, 10):
        gateway.read(1000 + now_s, now_s)
    assert at_start == 1 and flash.writes - at_start == 5
    before = flash.writes
    for value in (3, 4, 5):
        gateway.read(value, 10 + 6 * HOUR)
    assert flash.writes == before + 2  # that a jump waits, and the reset
    for now_s in range(8 * HOUR, 20 * HOUR, 60):
        gateway.read(5, now_s)
    assert flash.writes == before + 2  # nothing moved


def test_a_jump_that_waits_outlives_a_power_cut(flash):
    gateway = Gateway(flash)
    for now_s, value in ((1, 1000), (400, 1100), (470, 10**9), (480, 10**9 + 1)):
        gateway.read(value, now_s)
    again = Gateway(flash)
    assert again.read(10**9 + 10, 5)[1] >> 6 == quality.BAD  # flash heard of the first; this is the second
    assert again.read(10**9 + 20, 15) == (1120, EXCHANGED)
    assert [event for event, _ in again.events] == ["counter_quarantine"]


def test_what_flash_does_not_take_is_tried_again(flash):
    gateway = Gateway(flash)
    flash.works = False
    gateway.read(1000, 10)
    gateway.read(1001, 20)
    assert flash.writes == 1 and not gateway.counters.is_kept(0)
    flash.works = True
    gateway.read(1002, 70)
    assert gateway.counters.is_kept(0) and Gateway(flash).all[0].reading == 1002


def test_flush_writes_what_a_planned_restart_would_take(flash):
    gateway = Gateway(flash)
    gateway.read(1000, 10)
    gateway.read(1050, 20)
    gateway.counters.flush(21)
    assert Gateway(flash).all[0].reading == 1050
    writes = flash.writes
    gateway.counters.flush(22)
    assert flash.writes == writes


def test_other_points_and_another_order_find_their_counters(flash):
    names = [f"m{i}/energy" for i in range(100)]
    gateway = Gateway(flash, names)
    for point in range(100):
        gateway.read(1000 + point, 10, point)
    gateway.counters.flush(10)
    shuffled = [*random.Random(1).sample(names, 40), "new/energy"]
    other = Gateway(flash, shuffled)
    assert [counter.total for counter in other.all[:-1]] == [1000 + names.index(name) for name in shuffled[:-1]]
    assert not other.all[-1].heard
    for point in range(41):
        other.read(5000, 10, point)
    other.counters.flush(20)
    back = Gateway(flash, names)
    assert [counter.reading for counter in back.all] == [
        other.all[shuffled.index(name)].reading if name in shuffled else 1000 + at for at, name in enumerate(names)
    ]


def test_more_counters_than_there_is_room_for_run_without_flash(flash):
    names = [f"m{i}" for i in range(140)]
    gateway = Gateway(flash, names)
    for point in range(140):
        gateway.read(7, 10, point)
    assert sum(gateway.counters.is_kept(point) for point in range(140)) == 128
    fresh = Gateway(flash, ["m139", "m0"])  # strangers make room
    assert [counter.heard for counter in fresh.all] == [False, True]
    fresh.read(7, 10)
    assert fresh.counters.is_kept(0)


def test_another_exponent_is_brought_to_the_new_one_downwards(flash):
    gateway = Gateway(flash)
    gateway.read(1239, 10)
    coarse, fine = Gateway(flash, exponent=0), Gateway(flash, exponent=-3)
    assert (coarse.all[0].total, fine.all[0].total) == (123, 123_900)


@given(st.dictionaries(st.integers(16, 47), st.binary(max_size=512), max_size=4))
def test_foreign_content_is_ignored(content):
    gateway = Gateway(Flash(content))
    assert gateway.read(1000, 10) == (1000, 0)


@given(st.integers(0, 80), st.integers(0, 255))
def test_damaged_rows_do_no_harm(at, byte):
    flash = Flash()
    gateway = Gateway(flash)
    for now_s, value in ((10, 1000), (20, 90_000), (30, 90_000), (40, 90_000), (50, 5), (120, 5)):
        gateway.read(value, now_s)
    flash[16] = flash[16][:at] + bytes([byte]) + flash[16][at + 1 :]
    again = Gateway(flash)
    for now_s in range(6):
        total, told = again.read(90_000 + now_s, now_s)
    assert abs(total) <= LIMIT and told >> 6 != quality.BAD
    again.declare(90_010, 0, 100)


EDGES = st.integers(-LIMIT, LIMIT) | st.sampled_from([LIMIT, -LIMIT, 0])


@given(st.lists(EDGES, min_size=6, max_size=6), st.integers(0, LIMIT), st.integers(1, LIMIT), st.booleans())
def test_a_row_gives_back_what_it_got(values, unsigned, row, some):
    counter = Counter(0, None, 0, 1, 1, LIMIT)
    counter.heard, counter.exchanged, counter.anew = True, some, some
    counter.reading, counter.total, counter.debt = values[0], values[1], unsigned
    counter.jump = Jump(values[2], values[3], 2**40, unsigned)
    counter.wait(row, values[4], values[5], 2**40, some)
    out = bytearray()
    counter_rows.put(out, 0xFFFFFFFF, -9, counter, 0xFFFFFFFF)
    assert len(out) <= counter_rows.LONGEST <= 512 // 4
    ((crc, data),) = counter_rows.split(bytes(out))
    again = Counter(0, None, 0, 1, 1, LIMIT)
    assert counter_rows.restore(again, data, -9) == crc == 0xFFFFFFFF
    facts = {**vars(counter), "jump": vars(counter.jump), "change": 0}
    assert {**vars(again), "jump": vars(again.jump), "change": 0} == facts


def test_the_state_ring_has_room_for_a_hundred_counters():
    class Nor:
        def __init__(self):
            self.blocks = [bytearray(b"\xff" * 4096) for _ in range(4)]

        def ioctl(self, request, block):
            self.blocks[block] = bytearray(b"\xff" * 4096)

        def readblocks(self, block, buf, offset):
            buf[:] = self.blocks[block][offset : offset + len(buf)]

        def writeblocks(self, block, buf, offset):
            self.blocks[block][offset : offset + len(buf)] = buf

    nor = Nor()
    names = [f"meter-{i}/energy_import" for i in range(100)]
    gateway = Gateway(state_ring.State(nor, 0, 4), names)
    for value in (123_456_789, 5, 6, 7):
        for point in range(100):
            gateway.read(value + point, 10, point)
    gateway.counters.flush(10)
    assert all(gateway.counters.is_kept(point) for point in range(100))
    again = Gateway(state_ring.State(nor, 0, 4), names)
    assert [counter.total for counter in again.all] == [counter.total for counter in gateway.all]


# --- declared exchanges


def exchanged_meter(flash, new_values=()):
    """A meter at 1000 that has been exchanged; the new one gave these values, every 10 s."""
    gateway = Gateway(flash)
    gateway.read(990, 10)
    gateway.read(1000, 20)
    for i, value in enumerate(new_values):
        gateway.read(value, 30 + 10 * i)
    return gateway


@pytest.mark.parametrize("read_before", [(), (300,), (300, 303), (300, 303, 304), (300, 303, 304, 306, 307)], ids=len)
def test_whenever_it_is_declared_the_total_is_right(flash, read_before):
    gateway = exchanged_meter(flash, read_before)
    now_s = 30 + 10 * len(read_before)
    assert gateway.declare(1004, 298, now_s, "A 1", "B 2") is None
    total, told = gateway.read(310, now_s)
    assert (total, told) == (1000 + 4 + (310 - 298), EXCHANGED)
    assert gateway.read(312, now_s + 10) == (total + 2, 0)
    told = [about for event, about in gateway.events if event == "counter_exchange"]
    right = 1004 if len(read_before) < 3 else total - (310 - read_before[-1])
    assert told == [{"old_end": 1004, "new_start": 298, "old_serial": "A 1", "new_serial": "B 2", "total": right}]
    assert Gateway(flash).read(320, 3) == (total + 10, 0)


def test_declared_after_it_was_taken_for_a_reset_nothing_counts_twice(flash):
    gateway = exchanged_meter(flash, (5, 6, 7))
    assert gateway.all[0].total == 1007
    assert gateway.declare(1004, 1, 60) is None
    assert gateway.read(9, 60) == (1000 + 4 + 9 - 1, EXCHANGED)


def test_a_total_that_was_too_large_waits_and_never_falls(flash):
    gateway = exchanged_meter(flash, (80, 81, 82))
    assert gateway.all[0].total == 1082  # taken for a reset
    assert gateway.declare(1001, 79, 60) is None
    assert gateway.events[-1][1]["total"] == 1001 + 82 - 79
    assert gateway.read(90, 70) == (1082, EXCHANGED)
    again = Gateway(flash)
    assert again.read(159, 5) == (1082, EXCHANGED)
    assert again.read(170, 15) == (1001 + 170 - 79, EXCHANGED)
    assert again.read(171, 25) == (1001 + 171 - 79, 0)


def test_a_total_that_waits_outlives_the_next_exchange(flash):
    gateway = exchanged_meter(flash, (80, 81, 82))
    assert gateway.declare(1001, 79, 60) is None
    assert gateway.declare(85, 400, 70) is None
    right = 1001 + 85 - 79
    assert gateway.events[-1][1]["total"] == right
    assert gateway.read(400, 80) == (1082, EXCHANGED)
    assert gateway.read(500, 90) == (right + 100, EXCHANGED)


def test_the_same_declaration_once_more_changes_nothing(flash):
    gateway = exchanged_meter(flash, (300, 303, 304))
    for _ in range(3):
        assert gateway.declare(1004, 298, 60) is None
    assert Gateway(flash).declare(1004, 298, 5) is None
    assert gateway.all[0].total == 1000 + 4 + 304 - 298
    assert [event for event, _ in gateway.events] == ["counter_quarantine", "counter_exchange"]


@pytest.mark.parametrize("read_before", [(), (300, 303), (300, 303, 304)], ids=len)
@pytest.mark.parametrize(
    ("declaration", "why"),
    [
        ((999, 298), "the old meter cannot go from 100.0 back to 99.9"),
        ((900_000, 298), "the old meter cannot have gone from 100.0 to 90000.0: in that time it counts"),
        ((1004, -1), "must be a number from 0 on"),
        ((2**63, 0), "must be a number from 0 on"),
        ((1004, 298, "A" * 33), "at most 32 characters"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_and_changes_nothing(flash, read_before, declaration, why):
    gateway = exchanged_meter(flash, read_before)
    before = vars(gateway.all[0]).copy()
    refusal = gateway.declare(*declaration[:2], 70, *declaration[2:])
    assert why in refusal
    assert vars(gateway.all[0]) == before and "counter_exchange" not in [event for event, _ in gateway.events]


def test_a_start_that_the_new_meter_cannot_have_had_is_refused(flash):
    for read_before in ((300,), (300, 303, 304)):
        gateway = exchanged_meter(Flash(), read_before)
        assert "the new meter cannot go from 40.0 back to 30.0" in gateway.declare(1004, 400, 60)
        assert gateway.declare(1004, 298, 60) is None


def test_what_is_no_counter_and_what_was_never_read(flash):
    gateway = Gateway(flash, settings=(1000, 10, 1, 3))
    assert gateway.declare(1, 0, 10, point=9) == "it is not a counter"
    assert gateway.declare(1, 0, 10) == "it has not been read yet"
    gateway.read(5, 10)
    assert gateway.declare(1001, 0, 20) == "this counter begins again at 0 at 100.0"


@given(st.lists(st.integers(0, 400) | EDGES, max_size=12), EDGES, EDGES, st.integers(0, 200), st.booleans())
def test_whatever_is_declared(values, old_end, new_start, now_s, rolls):
    gateway = Gateway(Flash(), settings=(1000 * rolls, 10, 1, 2))
    highest = -LIMIT
    for i, value in enumerate(values):
        if i == 6:
            gateway.declare(old_end, new_start, now_s)
        total, told = gateway.read(value, 10 * i)
        if told >> 6 != quality.BAD:
            assert highest <= total <= LIMIT
            highest = total
    gateway.declare(old_end, new_start, now_s)
    assert abs(gateway.all[0].total) <= LIMIT and gateway.all[0].debt <= LIMIT


# --- the console


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["m/energy", "100.4", "29.8"], "kept"),
        (["m/energy", "100.4", "29.8", "A", "B"], "kept"),
        (["m/energy", "90", "29.8"], "refused: the old meter cannot go from 100.0 back to 90.0"),
        (["m/energy", "100,4", "29.8"], "not a number: 100,4"),
        (["n/energy", "100.4", "29.8"], "no such point"),
    ],
)
def test_the_console_declares_in_the_unit_of_the_point(flash, words, result):
    gateway = exchanged_meter(flash)
    clock = SimpleNamespace(uptime_ms=lambda: 50_000)
    rooms = SimpleNamespace(site={"points": [("m/energy", -1)]}, clock=clock, counters=gateway.counters)
    assert exchange.declare(rooms, words) == {"exchanged": words[0], "result": result}
    assert (gateway.all[0].total == 1004) == (result == "kept")
    assert exchange.declare(rooms, words[:2]) is None


def test_the_console_says_when_flash_does_not_take_it(flash):
    gateway = exchanged_meter(flash)
    flash.works = False
    clock = SimpleNamespace(uptime_ms=lambda: 50_000)
    rooms = SimpleNamespace(site={"points": [("m/energy", -1)]}, clock=clock, counters=gateway.counters)
    told = exchange.declare(rooms, ["m/energy", "100.4", "29.8"])
    assert told["result"] == "in force, but flash did not take it"


# --- the VM

PLAYER = """
import json
import sys

from gateway.process import filters
from gateway.process.counters import Counters


class Flash:
    def __init__(self):
        self.rows = {}

    def get(self, key):
        return self.rows.get(key)

    def put(self, key, value):
        self.rows[key] = value
        return True


def heard(event, point, about):
    print(event, point, about)


for line in open(sys.argv[1]):
    spec, events = json.loads(line)
    flash, counters = Flash(), None
    for event in events:
        if event[0] == "start" or counters is None:
            counter = filters.build(["counter"] + spec, 7, heard)
            counters = Counters(flash)
            counters.adopt(counter, "meter/energy", -2)
        if event[0] == "read":
            print(counter.apply(event[1], event[2], event[3]))
            counters.tend(event[3])
        elif event[0] == "declare":
            print(counters.declare(7, event[1], event[2], "a", "b", event[3]))
    counters.flush(0)
    print(["%02x" % byte for byte in flash.get(16) or b""])
"""


def cases(rng):
    for _ in range(200):
        modulus = rng.choice([0, 1000, 10**6, 2**40])
        spec = [modulus, rng.choice([1, 50, 2**40]), rng.choice([1, 900]), rng.randint(1, 4), 1, rng.choice([0, 24]), 1]
        value, now_s, events = rng.choice([5, 990, 2**31, 2**62]), 0, []
        for _ in range(40):
            value += rng.choice([0, 1, 3, 40, -990, 2**33 if rng.random() < 0.1 else 0])
            now_s += rng.choice([1, 10, 60, 4000, -5])
            what = rng.choice(["read"] * 12 + ["start", "declare"])
            garbage = rng.choice([0, 0, 0, 0, 0, rng.randint(-(2**63) + 1, 2**63 - 1)])
            if what == "declare":
                events.append([what, value + rng.randint(-5, 50), rng.randint(0, 20), now_s])
            else:
                events.append([what, garbage or max(0, value), rng.choice([0, 0, 0, 80, 130]), now_s])
        yield [spec, events]


def test_same_results_on_the_vm(request, tmp_path):
    try:
        vm = find_vm(request.config.getoption("--vm", default=None))
    except VmMissing as error:
        missing(str(error))
    firmware = Path(__file__).resolve().parents[2] / "firmware"
    player, lines, shim = tmp_path / "player.py", tmp_path / "cases", tmp_path / "shim"
    player.write_text(PLAYER)
    lines.write_text("".join(json.dumps(case) + "\n" for case in cases(random.Random(7))))
    shim.mkdir()
    (shim / "micropython.py").write_text("def const(value):\n    return value\n")
    paths = os.pathsep.join([str(shim), str(firmware)])
    environment = {**os.environ, "MICROPYPATH": str(firmware), "PYTHONPATH": paths}
    told = []
    for command in ([sys.executable], vm):
        arguments = [*command, str(player), str(lines)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout[-500:] + done.stderr
        told.append(done.stdout.splitlines())
    assert len(told[0]) > 5000 and told[0] == told[1]
    for event in ("counter_rollover", "counter_reset", "counter_quarantine", "counter_exchange"):
        assert any(line.startswith(event) for line in told[0])


def test_rows_are_known_by_the_checksum_of_the_name(flash):
    gateway = Gateway(flash)
    gateway.read(1000, 10)
    assert [crc for crc, _ in counter_rows.split(flash[16])] == [crc32(b"m/energy")]
