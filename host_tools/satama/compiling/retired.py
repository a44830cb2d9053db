"""The streams that a gateway has had: a backlog from before a re-deploy still speaks of them, and its births tell what they were."""

from typing import Any, NamedTuple

from ..core.problems import Problem
from ..resolving.resolved import Resolved, Signal
from .ids import Ids, Meaning

MOST = 300
"""Rows for the device: about 25 KB of its flash. Older ones are left out."""


class Retired(NamedTuple):
    """One row of "retired": as of "streams", and whether its name must not leave the gateway."""

    id: int
    name: str
    unit: str
    exponent: int
    kind: str
    klass: int
    period_s: int
    private: int
    pseudonymous: int


def meanings(resolved: Resolved) -> dict[str, Meaning]:
    """Name -> meaning of every stream of the site, in the order of its points."""
    return {
        stream.name: Meaning(
            stream.unit,
            stream.exponent,
            stream.kind,
            stream.klass,
            stream.period_s,
            _retention_h(signal),
            signal.owner in resolved.pseudonymous,
        )
        for signal in resolved.signals
        for stream in map(signal.stream, signal.outputs)
    }


def _retention_h(signal: Signal) -> int:
    return (signal.privacy.retention_h if signal.privacy else None) or 0


def retired_streams(ids: Ids) -> list[Retired]:
    """Those that went last, at most MOST of them, device by device."""
    youngest = sorted(ids.gone, key=lambda number: (ids.gone[number], number))[-MOST:]
    names = ids.names
    rows = []
    for number in youngest:
        unit, exponent, kind, klass, period_s, retention_h, pseudonymous = ids.meaning[number]
        private = int(retention_h > 0)
        rows.append(Retired(number, names[number], unit, exponent, kind, klass, period_s, private, int(pseudonymous)))
    return sorted(rows, key=lambda row: (row.name.partition("/")[0], row.pseudonymous, row.id))


def renewed(ids: Ids, rows: list[Retired]) -> list[int]:
    """Ids whose pseudonym must tell them from the first id of the same name."""
    first: dict[str, int] = {}
    for number, name in sorted(ids.names.items()):
        first.setdefault(name, number)
    names = ids.names
    wanted = [row.id for row in rows if row.pseudonymous]
    wanted += [number for number in ids.streams.values() if number not in ids.gone and _hidden(ids, number)]
    return sorted(number for number in set(wanted) if first[names[number]] != number)


def _hidden(ids: Ids, number: int) -> bool:
    return number in ids.meaning and ids.meaning[number].pseudonymous


def retention_h(resolved: Resolved, ids: Ids) -> int:
    """The shortest that a profile asks for; where none does any more, the shortest of the streams that are gone; else 0."""
    asked = [profile.retention_h for profile in resolved.site.privacy.values() if profile.retention_h]
    left = [ids.meaning[number].retention_h for number in ids.gone if ids.meaning[number].retention_h]
    return min(asked or left, default=0)


def warnings(resolved: Resolved, ids: Ids, rows: list[Retired]) -> list[Problem]:
    """What cannot be told of streams that are gone."""
    found = []
    source = resolved.source

    def warn(key: tuple[Any, ...], what: str, hint: str) -> None:
        found.append(source.problem(key, what, hint))

    if len(ids.gone) > len(rows):
        what = f"{len(ids.gone)} streams are gone, and the board is told of the {len(rows)} that went last"
        warn((), what, "a backlog of the others arrives under their ids, which the ids file explains")
    unknown = [name for name, number in ids.streams.items() if number not in ids.meaning]
    if unknown:
        what = f"what {len(unknown)} streams meant that are gone is not known: {', '.join(sorted(unknown)[:3])}"
        what += " ..." * (len(unknown) > 3)
        warn((), what, "the ids file is from before it was kept; a backlog of them arrives under their ids")
    hidden = sum(row.pseudonymous for row in rows)
    if hidden and resolved.site.mqtt.encoding == "compact":
        what = f"compact packets call streams by their ids, and {hidden} that are gone had pseudonyms"
        warn(("mqtt", "encoding"), what, "let the gateway send its backlog before, or a data team cannot name them")
    return found
