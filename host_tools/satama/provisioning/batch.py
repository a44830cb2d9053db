"""One board after the other: identify, flash, self-test, record, label. What fails is told and does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..progress import Reporter
from .bench import Bench, Missing, Skipped, Stopped, describe
from .prepare import Order
from .records import BEGUN, FAILED, FLASHED, Records
from .workshop import Failed, Workshop

_MOST_LOOKS = 1000  # at boards that are not the right one, in one batch: somebody must have gone home


@dataclass
class Outcome:
    """Gateways by what became of them; `failed` and `red` with the reason. `ended`: why the batch stopped early."""

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
        """All of them. Ctrl-C ends it; what is recorded by then stays."""
        outcome, pending = Outcome(), list(orders)
        try:
            while pending:
                self._next(pending, outcome)
        except Stopped as stop:
            outcome.ended = str(stop) or "ended at the bench"
        except KeyboardInterrupt:
            outcome.interrupted, outcome.ended = True, "interrupted"
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
            self._failed(order, str(missing), outcome, mac="", port=order.cabinet.port)
        else:
            with self.report:
                self._work(port, order, mac, outcome)
        pending.remove(order)

    def _work(self, port: str, order: Order, mac: str, outcome: Outcome) -> None:
        began = time.monotonic()
        self.records.add(BEGUN, order, mac=mac, port=port)
        self.report.event("cabinet", gateway=order.cabinet.gateway, row=order.cabinet.line, port=port, mac=mac)
        self.report.say(f"{describe(order.cabinet)} at {port}, MAC {mac}")
        facts: dict[str, Any] = {"mac": mac, "port": port}
        try:
            done = self.workshop.flash(port, order, self.report)
            facts |= {"mac": done.mac, "chip": done.chip, "firmware": done.firmware, "written": done.written}
            selftest = self.workshop.selftest(port, order, done, self.report, self.folder)
        except Failed as failed:
            self._failed(order, str(failed), outcome, **facts)
        else:
            seconds = round(time.monotonic() - began)
            self._flashed(self.records.add(FLASHED, order, selftest=selftest, seconds=seconds, **facts), outcome)

    def _right_board(self, pending: list[Order]) -> tuple[str, Order, str]:
        """(port, order, MAC) as soon as a board is there that belongs to one of the orders. Raises Skipped, Missing, Stopped."""
        why = ""
        for _ in range(_MOST_LOOKS):
            port = self.bench.next_port(pending[0].cabinet, why)
            try:
                mac = self.workshop.identify(port, pending[0], lambda mac: self._order_of(mac, pending))
            except Failed as wrong:
                why = str(wrong)
            else:
                return port, self._order_of(mac, pending), mac
        raise Stopped(why)

    def _order_of(self, mac: str, pending: list[Order]) -> Order:
        """Whose board it is: that of the row that names its MAC, else of the first one that may be any board. Raises Failed."""
        named = [order for order in pending if order.cabinet.mac == mac]
        if named:
            return named[0]
        order = pending[0]
        owner = self.records.owner_of(mac)
        if owner == order.cabinet.gateway:
            return order
        if order.cabinet.mac:
            raise Failed(f"this is the board with MAC {mac}, but row {order.cabinet.line} is for {order.cabinet.mac}")
        if owner:
            deliberate = f"to make it {order.cabinet.gateway}, write {mac} into column mac of row {order.cabinet.line}"
            raise Failed(f"this board, MAC {mac}, is {owner} by the record; {deliberate}")
        return order

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
