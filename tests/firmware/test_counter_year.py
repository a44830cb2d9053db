"""A year of a counter whose device rolls over, loses its count, tells garbage and is exchanged: what the published deltas add up to."""

import random

import pytest

from gateway.core import quality
from gateway.process.counter import Counter
from gateway.process.counters import Counters
from gateway.process.window import Window

MODULUS = 1_000_000
RISE, PER_S = 1, 2  # the most: half a step a second
EVERY_S = 900
YEAR = 365 * 86400 // EVERY_S  # readings
DAY = 86400 // EVERY_S
TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)


class Meter:
    """What it counts, and what a reading shows of it. `truth`: all that was consumed, through whichever meter."""

    def __init__(self, rng):
        self.rng = rng
        self.truth = 0
        self.shown = rng.randrange(MODULUS)

    def run(self, seconds):
        """Consumption up to the highest rate, with nights in which nothing flows."""
        amount = self.rng.choice([0, self.rng.randint(0, seconds * RISE // PER_S), seconds * RISE // PER_S])
        self.truth += amount
        self.shown = (self.shown + amount) % MODULUS


class Year:
    """Feeds the year, and keeps account of what nobody can know: consumption between a last reading and what ended that meter."""

    def __init__(self, seed, declare):
        self.rng = random.Random(seed)
        self.meter = Meter(self.rng)
        self.declare = declare  # "now", "late" or "never"
        self.events = []
        self.flash = {}
        self.now_s = 0
        self.start()
        self.window = Window(("delta", "last"))
        self.days = []  # (delta, last) of each
        self.each = []  # (mantissa, quality byte) of every reading
        self.lost = 0
        self.known = None  # truth at the last right reading
        self.begun = None  # truth at the first right reading

    def start(self):
        """A gateway that boots with what its flash knows."""
        self.now_s = 0
        self.counters = Counters(self)
        self.counter = Counter(0, self.heard, MODULUS, RISE, PER_S, 3)
        self.counters.adopt(self.counter, "meter/energy", 0)

    def heard(self, event, point, about):
        self.events.append((event, dict(about)))

    def get(self, key):
        return self.flash.get(key)

    def put(self, key, value):
        self.flash[key] = value
        return True

    def offer(self, value, byte=0):
        self.now_s += EVERY_S
        mantissa, told = self.counter.apply(value, byte, self.now_s)
        self.counters.tend(self.now_s)
        self.each.append((mantissa, told))
        self.window.add(mantissa, told, self.now_s)
        if len(self.each) % DAY == 0:
            self.days.append(self.window.close(True, self.now_s))

    def read(self):
        self.meter.run(EVERY_S)
        self.offer(self.meter.shown)
        if self.begun is None:
            self.begun = self.meter.truth
        self.known = self.meter.truth

    def garbage(self):
        """One reading that no counter can have come to, or none at all."""
        self.meter.run(EVERY_S)
        if self.rng.random() < 0.3:
            self.offer(0, TIMEOUT)
            return
        far = self.rng.choice([-1, 2**31 - 1, 2**63 - 1, -(2**63) + 1, (self.counter.reading + MODULUS // 3) % MODULUS])
        self.offer(far)

    def reset(self):
        """The count begins at 0 again at some moment between two readings."""
        while not MODULUS // 20 < self.meter.shown < MODULUS - MODULUS // 20:
            self.read()
        self.meter.run(EVERY_S // 2)
        self.lost += self.meter.truth - self.known
        self.meter.shown = 0
        self.meter.run(EVERY_S // 2)
        self.offer(self.meter.shown)
        self.confirm()

    def exchange(self, how):
        while not MODULUS // 20 < self.meter.shown < MODULUS // 3:
            self.read()
        old, new = self.meter.truth, self.meter.shown + MODULUS // 2
        self.meter.run(EVERY_S // 2)
        end, self.meter.shown = self.meter.shown, new
        ended = self.meter.truth
        self.meter.run(EVERY_S // 2)
        if how == "now":
            assert self.counters.declare(0, end, new, "A1", "B2", self.now_s + EVERY_S - 1) is None
        self.offer(self.meter.shown)
        if how == "now":
            self.known = self.meter.truth
            return
        assert ended - old <= EVERY_S
        first = self.meter.truth
        self.confirm()
        if how == "late":
            for _ in range(200):
                self.read()
            assert self.counters.declare(0, end, new, "A1", "B2", self.now_s) is None
        else:
            self.lost += first - old

    def confirm(self):
        """The second and the third reading of a jump."""
        self.read()
        self.read()

    def power_cut(self):
        self.read()
        self.start()

    def run(self):
        self.read()
        plan = ["reset"] * 6 + ["never"] * 4 + ["power_cut"] * 10 + ([self.declare] if self.declare != "never" else [])
        self.rng.shuffle(plan)
        for what in plan:
            for _ in range(self.rng.randint(1000, 1600)):
                self.garbage() if self.rng.random() < 0.02 else self.read()
            self.read()
            self.read()
            if what in ("reset", "power_cut"):
                getattr(self, what)()
            else:
                self.exchange(what)
        while len(self.each) < YEAR or len(self.each) % DAY:
            self.read()


@pytest.fixture(params=["now", "late", "never"])
def year(request):
    year = Year(7, request.param)
    year.run()
    return year


def believed(each):
    return [one for one in each if one[1] >> 6 != quality.BAD]


def test_the_sum_of_deltas_is_the_true_consumption_but_for_what_nobody_can_know(year):
    true = year.meter.truth - year.begun - year.lost
    assert sum(delta[0] for delta, _ in year.days) == true
    assert year.days[-1][1][0] - believed(year.each)[0][0] == true  # and of the windows' last values
    assert year.lost > 0 and true > 5 * MODULUS


def test_each_interval_with_something_unknown_is_uncertain(year):
    reasons = [quality.reason_name(byte) for _, byte in believed(year.each) if byte]
    assert reasons.count("reset") == 6
    assert reasons.count("exchanged") == {"now": 5, "late": 6, "never": 4}[year.declare]
    assert set(reasons) <= {"reset", "exchanged", "estimated"}
    for day in range(len(year.days)):
        flawed = [byte for _, byte in year.each[day * DAY : (day + 1) * DAY] if byte]
        assert (year.days[day][0][1] >> 6 != quality.GOOD) == bool(flawed or day == 0)


def test_every_undeclared_exchange_raises_exactly_one_quarantine(year):
    words = [event for event, _ in year.events]
    assert words.count("counter_quarantine") == (5 if year.declare == "late" else 4)
    assert words.count("counter_reset") == 6
    assert words.count("counter_exchange") == (year.declare != "never")
    assert words.count("counter_rollover") >= 3


def test_the_total_never_falls(year):
    totals = [mantissa for mantissa, _ in believed(year.each)]
    assert totals == sorted(totals)


def test_the_exchange_is_on_record(year):
    for about in [about for event, about in year.events if event == "counter_exchange"]:
        assert (about["old_serial"], about["new_serial"]) == ("A1", "B2")
        assert about["new_start"] - about["old_end"] >= MODULUS // 2 - EVERY_S
        assert about["total"] > 0
