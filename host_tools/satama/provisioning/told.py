"""What `satama provision` says of its table, its record and its outcome: sentences for people, events for tools."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.problems import Problem, Problems
from ..core.progress import Reporter
from .batch import Outcome
from .cabinets import Table
from .prepare import Order
from .records import Records

_SHOWN = 12  # names in a sentence


def some(names: list[str]) -> str:
    """The names, or the first of them and how many there are."""
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def tell_notes(notes: Iterable[Problem], report: Reporter) -> None:
    for note in notes:
        report.say(f"note: {note}")
        report.event("note", **note.as_dict())


def tell_check(table: Table, orders: list[Order], report: Reporter) -> None:
    sites = {order.cabinet.site for order in orders}
    report.say(f"{table.path}: {len(orders)} cabinets of {len(sites)} site files, no mistakes")
    report.event("result", ok=True, cabinets=len(orders), unknown=table.unknown)


def tell_refusal(error: Problems, report: Reporter) -> None:
    """Nothing was done, and why."""
    report.say(str(error))
    report.event("result", ok=False, problems=[problem.as_dict() for problem in error.problems])


def tell_kept(
    orders: list[Order], undone: list[Order], record: Records, stock: dict[str, dict[str, str]], report: Reporter
) -> None:
    """Which are left as they are. `stock`: board -> the MicroPython that it would get now; another one is no reason to flash it again."""
    to_do = {order.cabinet.gateway for order in undone}
    kept = [order for order in orders if order.cabinet.gateway not in to_do]
    if not kept:
        return
    names = [order.cabinet.gateway for order in kept]
    report.say(f"done before, with the same files: {some(names)}")
    report.event("kept", gateways=names)
    older = [name for name, order in zip(names, kept, strict=True) if _has_other(record, order, stock)]
    if older:
        what = f"{some(older)}: done with another MicroPython than would be taken now"
        tell_notes([Problem(record.path, None, "firmware", what, "--again flashes all of them")], report)


def _has_other(record: Records, order: Order, stock: dict[str, dict[str, str]]) -> bool:
    firmware = (record.latest(order.cabinet.gateway) or {}).get("firmware")
    return bool(firmware) and firmware != stock[order.compiled.board.name]


def tell_outcome(
    outcome: Outcome, wanted: int, kept: int, record: Records, report: Reporter, again: bool = False
) -> None:
    """`wanted`: how many there are in all, `kept`: of them were done before; `again`: by --again."""
    for name, checks in outcome.red.items():
        what = f"{name}: flashed, but red: {', '.join(checks) or 'see its report'}"
        report.say(f"{what} -> satama selftest in its cabinet")
    for name, text in outcome.failed.items():
        report.say(f"{name}: failed: {text}")
    if outcome.ended:
        report.say(outcome.ended)
    missing = [*outcome.failed, *outcome.skipped, *outcome.left]
    if missing:
        report.say(
            f"still to do: {some(missing)} -> the same command with --resume{' in the place of --again' * again}"
        )
    report.say(f"{len(outcome.flashed) + kept} of {wanted} cabinets are flashed; the record is {record.path}")
    report.event(
        "result", ok=outcome.ok, flashed=outcome.flashed, kept=kept, red=outcome.red, failed=outcome.failed,
        skipped=outcome.skipped, left=outcome.left, ended=outcome.ended, record=str(record.path),
    )  # fmt: skip
