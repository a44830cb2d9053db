"""From a row of the table to what its board gets: the shared site file with the row's own values, compiled in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ..compiling.compiler import Compiled, compile_site
from ..core.problems import Problem, Problems, dotted
from ..packing.image import device_files, digest
from .cabinets import OVERRIDES, Cabinet, Table

_COLUMN = {dotted(key): column for column, key in OVERRIDES.items()}


@dataclass(frozen=True)
class Order:
    """One cabinet and its compiled site. What both hold of secrets is shown by neither."""

    cabinet: Cabinet
    compiled: Compiled = field(repr=False)

    @property
    def files(self) -> dict[str, bytes]:
        """All files of the device, secrets among them: path -> content."""
        return device_files(self.compiled.data, certificates=self.compiled.certificates)

    @cached_property
    def digest(self) -> str:
        """Over all of them. Not to be told: passwords could be tried on it."""
        return digest(self.files)

    @property
    def topic(self) -> str:
        """Under which the gateway publishes."""
        body = self.compiled.body
        return f"{body['root']}/{body['site']}/{body['gateway']}"


def compile_cabinet(table: Table, cabinet: Cabinet, write_ids: bool = True) -> Order:
    """Raises Problems; those of a value from the table name its row and column, all others the site file."""
    try:
        return Order(cabinet, compile_site(cabinet.site, write_ids, cabinet.overrides))
    except Problems as error:
        raise Problems([_in_table(table, cabinet, problem) for problem in error.problems]) from None


def check_all(table: Table, seen: Callable[[int], None] = lambda done: None) -> tuple[list[Order], list[Problem]]:
    """Compile every row and write nothing: (orders, notes). `seen` is told how many are done. Raises Problems, each once,
    those of the table among them."""
    orders, notes = [], {}
    problems = {str(problem): problem for problem in table.problems}
    for done, cabinet in enumerate(table.cabinets, 1):
        try:
            order = compile_cabinet(table, cabinet, write_ids=False)
        except Problems as error:
            problems |= {str(problem): problem for problem in error.problems}
        else:
            orders.append(order)
            notes |= {str(note): note for note in order.compiled.warnings}
        seen(done)
    if problems:
        raise Problems(problems.values())
    return orders, [*notes.values(), *_shared_secrets(orders)]


def new_notes(before: list[Order], after: list[Order]) -> list[Problem]:
    """What the compiled sites have to say that they had not before, each once."""
    known = {str(note) for order in before for note in order.compiled.warnings}
    found = {str(note): note for order in after for note in order.compiled.warnings}
    return [note for text, note in found.items() if text not in known]


def _in_table(table: Table, cabinet: Cabinet, problem: Problem) -> Problem:
    column = _COLUMN.get(problem.key, "")
    if not column or not getattr(cabinet, column):
        return problem
    what = problem.what.partition(": ")[2] or problem.what  # without the block of the site file
    return Problem(table.path, cabinet.line, column, f"column {column}: {what}", problem.hint)


def _shared_secrets(orders: list[Order]) -> list[Problem]:
    """What one board would tell of the others, because the site file gives it to all of them."""
    notes = {}
    sharing = Counter(order.cabinet.site for order in orders)
    for order in orders:
        site, cabinet = order.compiled.site, order.cabinet
        if sharing[cabinet.site] < 2:
            continue
        for key, shared in (
            ("password", site.mqtt.password.get_secret_value() and not cabinet.mqtt_password),
            ("client_key", site.mqtt.client_key and not cabinet.client_key),
        ):
            if shared:
                what = (
                    f"mqtt: '{key}' is the same for all cabinets of this file: who opens one can speak for every other"
                )
                hint = "one of its own for each: --make-credentials, --make-passwords, or columns of the table"
                notes[cabinet.site, key] = Problem(cabinet.site, None, f"mqtt.{key}", what, hint)
    return list(notes.values())
