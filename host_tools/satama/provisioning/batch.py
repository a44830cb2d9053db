"""One board after the other: identify, flash, self-test, record, label. What fails is told and does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.problems import Problems
from ..core.progress import Reporter
from .bench import Bench, Missing, Skipped, Stopped, describe
from .prepare import Order
from .records import BEGUN, FAILED, FLASHED, Records
from .workshop import Failed, Workshop

_MOST_LOOKS = 1000  # at boards that are not the right one, in one batch: somebody must have gone home


@dataclass
class Outcome:
    """Gateways by what became of them; `failed` and `red` with the reason. `ended`: why the batch stopped early;
    `interrupted`: by Ctrl-C."""

    flashed: list[str] = field(default_factory=list)
    red: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    ended: str = ""
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        return not (self.failed or self.red or self.skipped or self.left)


@dataclass
class Batch:
    """`labelled` is called with each record line of a flashed board."""

    bench: Bench
    workshop: Workshop
    records: Records
    report: Reporter
    folder: Path
    labelled: Callable[[dict[str, Any]], None] = lambda row: None

    def run(self, orders: list[Order]) -> Outcome:
        """All of them. Ctrl-C ends it, and a record that cannot be written any more; what is recorded by then stays."""
        outcome, pending = Outcome(), list(orders)
        try:
            while pending:
                self._next(pending, outcome)
        except Stopped as stop:
            outcome.ended = str(stop) or "ended at the bench"
        except Problems as problems:
            outcome.ended = str(problems)
        except KeyboardInterrupt as stop:
            outcome.interrupted, outcome.ended = True, f"interrupted; {stop}" if str(stop) else "interrupted"
        outcome.left = [order.cabinet.gateway for order in pending]
        return outcome

    def _next(self, pending: list[Order], outcome: Outcome) -> None:
        """Deal with the board that comes next; its order leaves `pending` when it is flashed, failed or skipped."""
        order = pending[0]
        try:
            port, order, mac = self._right_board(pending)
        except Skipped:
            outcome.skipped.append(order.cabinet.gateway)
        except Missing as missing:
            self._failed(order, str(missing), outcome, mac="", port=order.cabinet.port, changed=False)
        else:
            with self.report:
                self._work(port, order, mac, outcome)
        pending.remove(order)

    def _work(self, port: str, order: Order, mac: str, outcome: Outcome) -> None:
        began, name = time.monotonic(), order.cabinet.gateway
        former = self.records.board_of(name)
        self.records.add(BEGUN, order, mac=mac, port=port)
        self.report.event("cabinet", gateway=name, row=order.cabinet.line, port=port, mac=mac)
        self.report.say(f"{describe(order.cabinet)} at {port}, MAC {mac}")
        facts: dict[str, Any] = {"mac": mac, "port": port}
        so_far = "its board may be half written; it can be flashed again at any time"
        try:
            done = self.workshop.flash(port, order, self.report)
            so_far = "it is flashed, but not tested"
            facts |= {"mac": done.mac, "chip": done.chip, "firmware": done.firmware, "written": done.written}
            selftest = self.workshop.selftest(port, order, done, self.report, self.folder)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(f"{name}: {stop if str(stop) else so_far}") from None
        except Failed as failed:
            self._failed(order, str(failed), outcome, changed=failed.changed, **facts)
        else:
            seconds = round(time.monotonic() - began)
            self._flashed(self.records.add(FLASHED, order, selftest=selftest, seconds=seconds, **facts), outcome)
            if former and former != mac:
                what = f"{name} was the board with MAC {former} until now"
                self.report.say(f"note: {what} -> take that one out of service: both would speak for {name}")
                self.report.event("note", file=str(self.records.path), line=None, key="mac", what=what, hint="")

    def _right_board(self, pending: list[Order]) -> tuple[str, Order, str]:
        """(port, order, MAC) as soon as a board is there that belongs to one of the orders. Raises Skipped, Missing, Stopped."""
        why, left = "", ""
        try:
            for _ in range(_MOST_LOOKS):
                port = self.bench.next_port(pending[0].cabinet, why)
                try:
                    with self._look(first=not why):
                        mac, order = self.workshop.identify(
                            port, pending[0], lambda mac: self._order_of(mac, pending), leave=bool(why)
                        )
                except Failed as wrong:
                    left = port if why else ""  # a start at each look would end in its safe mode
                    why = str(wrong)
                else:
                    left = ""
                    return port, order, mac
            raise Stopped(why)
        finally:
            if left:
                self.workshop.start(left, pending[0])

    @contextmanager
    def _look(self, first: bool) -> Iterator[None]:
        """A step of its own, but not each time anew while a board is waited for."""
        with self.report:
            if not first:
                yield
                return
            with self.report.step("look at the board"):
                yield

    def _order_of(self, mac: str, pending: list[Order]) -> Order:
        """Whose board it is: that of the row that names its MAC, else what it was, else the first one, which may be any board.
        Raises Failed."""
        named = [order for order in pending if order.cabinet.mac == mac]
        if named:
            return named[0]
        order, owner = pending[0], self.records.owner_of(mac)
        free = [one for one in pending if one.cabinet.gateway == owner and not (one.cabinet.mac or one.cabinet.port)]
        if free and not order.cabinet.port:
            return free[0]
        if order.cabinet.mac:
            raise Failed(f"this is the board with MAC {mac}, but row {order.cabinet.line} is for {order.cabinet.mac}")
        if owner in ("", order.cabinet.gateway):
            return order
        deliberate = f"to make it {order.cabinet.gateway}, write {mac} into column mac of row {order.cabinet.line}"
        raise Failed(f"this board, MAC {mac}, is {owner} by the record; {deliberate}")

    def _failed(self, order: Order, text: str, outcome: Outcome, **facts: Any) -> None:
        name = order.cabinet.gateway
        self.records.add(FAILED, order, error=text, **facts)
        outcome.failed[name] = text
        self.report.say(f"{name}: {text}")
        self.report.event("failed", gateway=name, error=text)

    def _flashed(self, row: dict[str, Any], outcome: Outcome) -> None:
        name, selftest = row["gateway"], row["selftest"]
        outcome.flashed.append(name)
        said = "not tested"
        if selftest is not None:
            said = "self-test passed"
            if not selftest["passed"]:
                outcome.red[name] = selftest["red"]
                said = f"self-test red: {', '.join(selftest['red']) or 'see its report'}"
        self.report.say(f"{name}: flashed, MAC {row['mac']}, {said}")
        self.report.event("flashed", **{key: row[key] for key in ("gateway", "mac", "config", "selftest", "seconds")})
        self.labelled(row)
