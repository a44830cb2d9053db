"""The broker is gone for days: everything that was measured meanwhile comes in afterwards, once, and what is fresh comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from satama.core import places

from ..board.board import SimError
from ..cabinet import HEAP_BYTES, SECOND, Cabinet
from .witness import Witness

SITE = places.SITES / "storm16.toml"
SAMPLE_BYTES = 12  # of payload, what a round carries included: by it the declared pace becomes samples a second
LIVE_S = 15  # so soon after the connection a fresh sample of every stream is there
_CONNECT_S = 15 * 60  # the gateway's longest pause between two attempts, and half as much again
_QUIET_S = 600  # before the outage
_LOOK_S = 300  # the heap is asked for so often
_HEAP_SWAY = 16 << 10  # bytes that the heap may sway by: queues and packets are bounded
_MOST_RESTARTS = 3  # a gateway that starts again and again brings nothing in: no use to wait for it
_EDGE_S = 90  # samples of the last round may still be under way at the end


class _Watch:
    """The cabinet with an eye on its heap."""

    def __init__(self, cabinet: Cabinet, progress: Callable[[int, int], None], length_s: int):
        self.cabinet, self._progress, self._length_s = cabinet, progress, length_s
        self.lowest = HEAP_BYTES
        self.silences: list[str] = []  # what it printed when it did not answer

    def run(self, seconds: int) -> dict[str, Any]:
        """Its status afterwards."""
        self.cabinet.run(seconds)
        status = self.ask("status")
        self.lowest = min(self.lowest, status["heap_free"])
        self._progress(round(self.cabinet.now_s), self._length_s)
        return status

    def ask(self, what: str) -> dict[str, Any]:
        """A request to the console, and another one when it did not answer the first. Raises SimError."""
        try:
            return self.cabinet.request(what)
        except SimError:
            self.silences.append(
                f"at {self.cabinet.now_s:.0f} s no answer to {what!r}: {self.cabinet.console_text()[-300:]}"
            )
            self.cabinet.run(30)
            return self.cabinet.request(what)


def outage(
    hours: float,
    pace: int | None = None,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    site: Path = SITE,
    **options: Any,
) -> dict[str, Any]:
    """Live through it and report. `pace`: samples of the backlog that must pass in a second, the site's own when None; `options`: of
    Cabinet. Raises SimError."""
    length_s = round(hours * 3600)
    violations: list[dict[str, str]] = []
    with Cabinet(site, seed=seed, keep=False, **options) as cab:
        pace = pace or cab.compiled.body["mqtt"]["backlog_bytes_s"] // SAMPLE_BYTES
        witness = Witness(cab.broker.base, lambda: cab.timeline.now_us)
        cab.broker = witness
        watch = _Watch(cab, progress, length_s + 2 * _QUIET_S)
        watch.run(_QUIET_S)
        before_free = watch.run(_LOOK_S)["heap_free"]
        cab.stop_broker()
        gone_us = cab.timeline.now_us
        left = length_s
        while left > 0:
            watch.run(min(_LOOK_S, left))
            left -= _LOOK_S
        backlog = watch.ask("ledger")["queued"]
        back = _Return(cab, witness)
        drained_us = back.drain(watch, backlog, pace)
        if drained_us is not None:
            watch.run(_QUIET_S)
        ledger = watch.ask("ledger")
        produced = ledger["produced"]
        report = {
            "vm": cab.vm,
            "seed": seed,
            "hours": hours,
            "streams": len(cab.compiled.streams),
            "produced": produced,
            "samples_at_broker": len(witness.seen),
            "backlog": backlog,
            "dropped": ledger["dropped"],
            "sent_twice": witness.duplicates,
            "connected_after_s": back.connected_s,
            "live_after_s": back.live_s(),
            "drained_after_s": None if drained_us is None else round((drained_us - back.first_us) / SECOND, 1),
            "drain_limit_s": back.limit_s(backlog, pace),
            "heap_free_before": before_free,
            "heap_free_lowest": watch.lowest,
            "flash_bytes": cab.flash.programmed_bytes,
            "flash_bytes_per_sample": round(
                cab.flash.programmed_bytes / max(1, len(witness.seen) + ledger["queued"]), 3
            ),
            "flash_erases": sum(cab.flash.erases),
            "flash_erases_most_of_a_block": max(cab.flash.erases),
            "erased_per_programmed": round(4096 * sum(cab.flash.erases) / max(1, cab.flash.programmed_bytes), 3),
        }
        violations += [{"kind": "console", "what": what} for what in watch.silences]
        violations += [{"kind": "restart", "what": f"at {at // SECOND} s: {why}"} for at, why in cab.board.resets[1:]]
        if drained_us is None:
            violations.append({"kind": "drain", "what": f"{ledger['queued']} samples are still queued"})
        violations += _holes(cab, witness, gone_us)
        violations += _wrong(report, ledger, witness)
    return report | {"violations": violations}


class _Return:
    """The broker is back."""

    def __init__(self, cabinet: Cabinet, witness: Witness):
        self._cabinet, self._witness = cabinet, witness
        self._before = set(witness.seen)
        messages = witness.messages
        started_us = cabinet.timeline.now_us
        cabinet.start_broker()
        cabinet.run_until(lambda: witness.messages > messages, _CONNECT_S, 0.1)
        self.first_us = cabinet.timeline.now_us
        self.connected_s = round((self.first_us - started_us) / SECOND, 1)

    def limit_s(self, backlog: int, pace: int) -> int:
        return _LOOK_S + backlog // pace

    def drain(self, watch: _Watch, backlog: int, pace: int) -> int | None:
        """When no more is queued than what a round brings; None when that was not in time."""
        end_us = self.first_us + self.limit_s(backlog, pace) * SECOND
        fresh = 2 * len(self._cabinet.compiled.streams)
        resets = self._cabinet.board.resets
        started = len(resets)
        while self._cabinet.timeline.now_us < end_us and len(resets) < started + _MOST_RESTARTS:
            watch.run(5)
            if watch.ask("ledger")["queued"] <= fresh:
                return self._cabinet.timeline.now_us
        return None

    def live_s(self) -> float | None:
        """How long after the connection each stream had brought a sample that was no older than its period then; None: not all have."""
        cab = self._cabinet
        first: dict[str, int] = {}
        periods = {wire: view.period_s for wire, view in self._witness.streams.items()}
        for key, seen in self._witness.seen.items():
            if key in self._before or seen.taken_s is None:
                continue
            taken_us = (seen.taken_s - cab.start_unix_s) * SECOND
            if taken_us >= self.first_us - (periods[key[2]] + 1) * SECOND:
                first[key[2]] = min(first.get(key[2], seen.at_us), seen.at_us)
        if len(first) < len(cab.compiled.streams):
            return None
        return round((max(first.values()) - self.first_us) / SECOND, 1)


def _holes(cab: Cabinet, witness: Witness, gone_us: int) -> list[dict[str, str]]:
    """Every stream has a sample for each of its periods: what was measured is known from the site, not from the gateway."""
    found = []
    moments: dict[str, list[float]] = {}
    for key, seen in witness.seen.items():
        if seen.taken_s is not None:
            moments.setdefault(key[2], []).append(seen.taken_s)
    end = cab.start_unix_s + cab.now_s - _EDGE_S
    for wire, view in sorted(witness.streams.items()):
        times = sorted(moments.get(wire, [])) or [cab.start_unix_s]
        times.append(max(end, times[-1]))
        holes = [
            before for before, after in zip(times, times[1:], strict=False) if after - before > view.period_s * 1.5 + 1
        ]
        if holes:
            found.append(
                {"kind": "missing", "what": f"{view.name}: {len(holes)} holes, the first after {holes[0]:.0f}"}
            )
    if len(witness.streams) < len(cab.compiled.streams):
        found.append({"kind": "missing", "what": f"only {len(witness.streams)} streams have come"})
    return found


def _wrong(report: dict[str, Any], ledger: dict[str, Any], witness: Witness) -> list[dict[str, str]]:
    found = []

    def wrong(kind: str, what: str) -> None:
        found.append({"kind": kind, "what": what})

    if ledger["dropped"]:
        wrong("dropped", f"{ledger['dropped']} samples were dropped")
    arrived = Counter(witness.name(key[2]) for key in witness.seen)
    for name, produced, acknowledged, queued, dropped, quarantined in ledger["streams"]:
        if produced != acknowledged + queued + dropped + quarantined:
            wrong("ledger", f"{name} does not balance")
        if not name.startswith("(") and not acknowledged <= arrived[name] <= produced:
            wrong("ledger", f"{name}: produced {produced}, acknowledged {acknowledged}, at the broker {arrived[name]}")
    for before, after in witness.renamed[:3]:
        wrong("identity", f"{witness.name(before[2])} {before[:2]} came again as {after[:2]}")
    for key, before, after in witness.altered[:3]:
        wrong("altered", f"{witness.name(key[2])} {key[:2]} was {before}, then {after}")
    if report["live_after_s"] is None or report["live_after_s"] > LIVE_S:
        wrong("live", f"a fresh sample of every stream within {LIVE_S} s of the connection was wanted")
    if report["heap_free_lowest"] < report["heap_free_before"] - _HEAP_SWAY:
        wrong(
            "heap",
            f"{report['heap_free_lowest']} bytes of heap were free, {report['heap_free_before']} before the outage",
        )
    return found
