"""What a site asks of its Modbus buses: every request of every round with its time, the load, and whether it can be met.

Reckoned from the compiled rows, so it is the firmware's own work: the poller serves the buses side by side, and on each of
them the rounds that fall on one slot follow each other, shortest period first. Retries and silent devices are not in it.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from ..boards.board import Board
from ..site_file.points import DAY_S
from ..site_file.site import MODBUS_BUSES, Bus
from .timing import SECOND_US, Timing, timing

FULL, HEAVY = Fraction(1), Fraction(8, 10)  # shares of the time
NAMED = 5  # devices in a sentence about who eats the time
_READS = {1: "coils", 2: "discrete inputs", 3: "holding registers", 4: "input registers"}


class Request(NamedTuple):
    """One request and its answer: `bytes` of both, `time_us` with the board's costs, `limit_us` without."""

    device: str
    unit: int
    sunspec: int  # model that `address` counts from; 0: none
    function: int
    address: int
    count: int
    bytes: int
    time_us: int
    limit_us: int

    def __str__(self) -> str:
        last = self.address + self.count - 1
        model = f" of model {self.sunspec}" if self.sunspec else ""
        return f"{_READS[self.function]} {self.address}" + (f"..{last}" if last > self.address else "") + model


@dataclass(frozen=True)
class Round:
    """The requests of one period on one bus."""

    period_s: int
    requests: tuple[Request, ...]

    @property
    def time_us(self) -> int:
        return sum(request.time_us for request in self.requests)


@dataclass(frozen=True)
class Slot:
    """A moment at which rounds fall together: how long they take, and how long it is to the next moment."""

    due_us: int
    room_us: int
    rounds: tuple[Round, ...]

    @property
    def load(self) -> Fraction:
        return Fraction(self.due_us, self.room_us)

    @property
    def over_us(self) -> int:
        """By so much the next moment is missed; below 0 there is time left."""
        return self.due_us - self.room_us


@dataclass(frozen=True)
class BusPlan:
    """One Modbus bus, number `index` of the site. `load` is the share of time that it is busy, 1 = always."""

    index: int
    name: str
    kind: str
    baud: int | None
    rounds: tuple[Round, ...]

    @property
    def common_s(self) -> int:
        """After so many seconds everything repeats; a day at most, for every period divides one."""
        return math.lcm(*(r.period_s for r in self.rounds))

    @property
    def load(self) -> Fraction:
        return Fraction(self.cycle_us, self.common_s * SECOND_US)

    @property
    def cycle_us(self) -> int:
        """All requests of the common period."""
        return self._sum("time_us")

    @property
    def wire_limit_us(self) -> int:
        return self._sum("limit_us")

    @property
    def requests_per_minute(self) -> Fraction:
        return sum((Fraction(60 * len(r.requests), r.period_s) for r in self.rounds), Fraction())

    @property
    def all_due_us(self) -> int:
        """All rounds once: so long it takes when they fall on the same slot."""
        return sum(r.time_us for r in self.rounds)

    def _sum(self, name: str) -> int:
        return sum(
            getattr(request, name) * (self.common_s // r.period_s) for r in self.rounds for request in r.requests
        )


def plan_buses(buses: list[Bus], board: Board, units: list[list], polls: list[list]) -> list[BusPlan]:
    """The Modbus buses of a site with the requests of the compiled `units` and `polls`."""
    plans = []
    for index, bus in enumerate(buses):
        if bus.kind in MODBUS_BUSES:
            model = timing(bus, board.costs)
            rounds = (Round(poll[0], tuple(_requests(index, model, units, poll[1]))) for poll in polls)
            plans.append(BusPlan(index, bus.id, bus.kind, model.baud, tuple(r for r in rounds if r.requests)))
    return plans


def _requests(index: int, model: Timing, units: list[list], reads: list[list]) -> Iterator[Request]:
    for row, function, address, count, turnaround_ms, _, _ in reads:
        bus, unit, device, _, _, gap_ms, sunspec, _ = units[row]
        if bus == index:
            asked = function, count
            times = 1000 * turnaround_ms, 1000 * gap_ms
            yield Request(
                device,
                unit,
                sunspec[0] if sunspec else 0,
                function,
                address,
                count,
                model.size(*asked),
                model.request_us(*asked, *times),
                model.limit_us(*asked, *times),
            )


def slots(rounds: Iterable[Round], periods: Iterable[int]) -> list[Slot]:
    """The slots of `rounds` in the common period, when the next one is that of any of `periods` (theirs among them)."""
    rounds, periods = tuple(rounds), sorted(set(periods))
    made = []
    for at in sorted({at for r in rounds for at in range(0, math.lcm(*periods), r.period_s)}):
        due = tuple(r for r in rounds if at % r.period_s == 0)
        room_s = min(at // period * period + period for period in periods) - at
        made.append(Slot(sum(r.time_us for r in due), room_s * SECOND_US, due))
    return made


# --- can it be met?


class Verdict(NamedTuple):
    """What is wrong with a bus, and what to do. Refused ones cannot work, the others are tight."""

    index: int
    refused: bool
    what: str
    hint: str


def judge(plans: Iterable[BusPlan], periods: Iterable[int]) -> list[Verdict]:
    """At most one verdict a bus; `periods` are those of all rounds of the site, of inputs and listeners too."""
    periods = sorted(set(periods))
    return [verdict for plan in plans if plan.rounds for verdict in [_judge(plan, periods)] if verdict]


def _judge(plan: BusPlan, periods: list[int]) -> Verdict | None:
    slot = max(slots(plan.rounds, [r.period_s for r in plan.rounds]), key=lambda slot: slot.load)
    late = max(slots(plan.rounds, periods), key=lambda slot: slot.over_us)
    busy = f"the requests take {_percent(plan.load)} of the time"
    together = f"the requests that fall together take {_ms(slot.due_us)}, and the next are due after {_s(slot.room_us)}"
    others = f"its requests take {_ms(late.due_us)}, and other rounds of this site are due after {_s(late.room_us)}"
    if plan.load >= FULL:
        return _verdict(plan, True, busy, _shares(plan.rounds))
    if slot.over_us > 0:
        return _verdict(plan, True, together, _together(slot.rounds))
    if late.over_us >= SECOND_US:
        return _verdict(plan, True, f"{others}: they would be missed", _together(late.rounds), "site")
    if plan.load >= HEAVY:
        return _verdict(plan, False, busy, _shares(plan.rounds))
    if slot.load >= HEAVY:
        return _verdict(plan, False, together, _together(slot.rounds))
    if late.over_us > 0:
        return _verdict(plan, False, f"{others}: they begin late", _together(late.rounds), "site")
    return None


def _shares(rounds: Iterable[Round]) -> list[tuple[Fraction, Round, Request]]:
    """What each request takes of every second."""
    return [(Fraction(request.time_us, r.period_s * SECOND_US), r, request) for r in rounds for request in r.requests]


def _together(rounds: Iterable[Round]) -> list[tuple[Fraction, Round, Request]]:
    """What each request takes of the slot they share."""
    return [(Fraction(request.time_us), r, request) for r in rounds for request in r.requests]


def _verdict(
    plan: BusPlan, refused: bool, what: str, weights: list[tuple[Fraction, Round, Request]], whole_of: str = "bus"
) -> Verdict:
    """`what`, who eats the time, and what helps; one period for the whole of this bus, or site, would do."""
    devices: dict[str, Fraction] = {}
    for weight, _, request in weights:
        devices[request.device] = devices.get(request.device, Fraction()) + weight
    whole = sum(devices.values())
    ranked = sorted(devices, key=lambda device: -devices[device])
    named = [f"{device} {_percent(devices[device] / whole)}" for device in ranked[:NAMED]]
    if len(ranked) > NAMED:
        rest = sum(devices[device] for device in ranked[NAMED:])
        named.append(f"{len(ranked) - NAMED} others {_percent(rest / whole)}")
    _, r, dearest = max(weights, key=lambda entry: entry[0])
    who = f"of that time: {', '.join(named)}; costliest request: {dearest} of {dearest.device}"
    return Verdict(
        plan.index,
        refused,
        f"{what} ({who}, {_ms(dearest.time_us)} every {r.period_s} s)",
        _remedy(plan, ranked[0], whole_of),
    )


def _remedy(plan: BusPlan, device: str, whole_of: str) -> str:
    wanted = next((p for p in range(1, DAY_S + 1) if DAY_S % p == 0 and HEAVY * p * SECOND_US > plan.all_due_us), None)
    ways = [f"period_s = {wanted} for all devices of this {whole_of}"] if wanted else []
    ways.append(f"fewer points of {device}")
    if plan.baud:
        ways.append(f"a higher baud rate than {plan.baud}")
    return ", ".join(ways) + ", or a second bus"


def _percent(share: Fraction) -> str:
    return f"{round(100 * share)} %"


def _ms(us: int) -> str:
    return f"{us / 1000:.1f} ms"


def _s(us: int) -> str:
    return f"{us // SECOND_US} s"
