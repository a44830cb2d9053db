"""A power cut at every flash operation of a gateway's life, each in six manners, and what has become of every sample.

One life is run in full (the deterministic base). In it the host process is forked at every flash operation on the journal's
partition: the child has the world, the broker, NVS and flash as they are at that moment, damages the flash, starts a fresh VM on it
and lets it run until its backlog is in. What must have arrived by then is known from the base, which nobody cut, and from a
reference with a journal so large that nothing was dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from satama.core import places

from ..board.board import SimError
from ..board.flash import MODES as DAMAGES
from ..board.flash import damaged
from ..cabinet import SECOND, Cabinet
from .witness import Key, Witness

SITE = places.SITES / "storm.toml"
AGAIN = "again"  # a second cut while the first one is recovered from
MODES = (*DAMAGES, AGAIN)
OPERATIONS = 2_420  # so many must be cut at least
JOURNAL_BYTES = 40 << 10  # so small that its blocks are used again and again, and run full in the outage
_LONGEST_S = 4 * 3600
_OUTAGE_S = 2 * 3600  # at most, where the journal does not run full before
_OVERFLOW_S = 30  # so long it goes on then
_OFF_S = 3
_PATIENCE_S = 600  # for the backlog
_DESPAIR_S = 20  # a queue that is empty, and a sample missing: no use to wait longer
HEAP_BYTES = 8 << 20  # memory is not what is tried here, and collecting garbage would take a fifth of the time
_FRESH = 30  # samples that may be queued although the backlog is in: those of the last seconds
_MOST_NAMED = 3  # samples that a violation names
DURABILITY_S = 10


class Schedule(NamedTuple):
    """When things happen in a life, in simulated time. The base finds out, the others keep to it."""

    outage_end_us: int
    end_us: int


class Truth(NamedTuple):
    """What a life without cuts has brought to the broker."""

    operations: int
    schedule: Schedule
    digest: str  # of all operations
    values: dict[Key, str]
    taken_us: dict[Key, int]
    delivered: set[Key]  # in the base; the others were dropped by policy there
    events: dict[tuple[int, int], int]  # (epoch, sequence number) of what the base told -> when, as `taken_us`
    names: dict[str, str]
    agrees: bool  # base and reference name every sample alike


class Violation(NamedTuple):
    op: int
    mode: str
    seed: int
    kind: str  # start, missing, uncounted, unsaid, identity, altered, ledger, backlog, storm
    what: str


Hook = Callable[[str, int, bytes], None]


class Life:
    """The scenario. `on_operation(number, kind, address, data)` is called ahead of each operation on the journal's partition."""

    def __init__(
        self,
        seed: int,
        on_operation: Callable[[int, str, int, bytes], None] | None = None,
        *,
        site: Path = SITE,
        firmware: Path | None = None,
        vm: str | Path | None = None,
        journal_bytes: int | None = JOURNAL_BYTES,
        schedule: Schedule | None = None,
    ):
        self.on_operation, self.schedule = on_operation, schedule
        self.operations = 0
        self._hash = hashlib.sha256()
        options: dict[str, Any] = {"firmware": firmware, "journal_bytes": journal_bytes, "heap_bytes": HEAP_BYTES}
        self.cabinet = Cabinet(site, seed=seed, vm=vm, keep=False, **options)
        self.witness = Witness(self.cabinet.broker.base, lambda: self.cabinet.timeline.now_us)
        self.cabinet.broker = self.witness
        part = self.cabinet.compiled.board.partitions["journal"]
        self._first, self._end = part.offset, part.offset + (journal_bytes or part.size)
        self.cabinet.flash.before = self._before

    def _before(self, kind: str, address: int, data: bytes) -> None:
        if not self._first <= address < self._end:
            return
        number = self.operations
        self.operations += 1
        self._hash.update(b"%s %d %d " % (kind.encode(), address, self.cabinet.timeline.now_us) + data)
        if self.on_operation:
            self.on_operation(number, kind, address, data)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def live(self) -> None:
        """All of it: a quiet start, a cut cable, power away, an outage with a restart in it until the journal has run full, and after
        it more of the quiet until there were enough operations."""
        cab = self.cabinet
        cab.run(40)
        cab.pull_cable("uplink")
        cab.run(60)
        cab.plug_in("uplink")
        cab.run(40)
        self._restart()
        cab.run(20)
        cab.stop_broker()
        cab.run(100)
        self._restart()
        outage_end_us = self._overflow()
        cab.start_broker()
        while self._goes_on():
            cab.run(10)
        self.schedule = Schedule(outage_end_us, cab.timeline.now_us)
        cab.flash.before = None  # what follows is only to see the end of it
        cab.run(60)

    def _overflow(self) -> int:
        """Go on until samples are dropped, and a little longer; when that was."""
        cab = self.cabinet
        end_us = cab.timeline.now_us + _OUTAGE_S * SECOND
        seen = False
        while cab.timeline.now_us < (self.schedule.outage_end_us if self.schedule else end_us):
            cab.run(10)
            dropped = cab.ledger()["dropped"]  # the others ask, too: it takes the gateway's time
            if dropped and not seen:
                seen, end_us = True, cab.timeline.now_us + _OVERFLOW_S * SECOND
        return cab.timeline.now_us

    def _goes_on(self) -> bool:
        now_us = self.cabinet.timeline.now_us
        if self.schedule:
            return now_us < self.schedule.end_us
        return self.operations < OPERATIONS and now_us < _LONGEST_S * SECOND

    def _restart(self) -> None:
        self.cabinet.cut_power()
        self.cabinet.run(_OFF_S)
        self.cabinet.restore_power()

    def told_us(self) -> dict[tuple[int, int], int]:
        """When each event happened, to the second."""
        return {
            (event["ep"], event["sq"]): (event["utc"] - self.cabinet.start_unix_s) * SECOND
            for event in self.witness.events
        }

    def first_drop_us(self) -> int:
        """When the gateway first said that it dropped samples, in simulated time; never: far in the future."""
        told = [event["utc"] for event in self.witness.events if event.get("event") == "dropped"]
        return (min(told) - self.cabinet.start_unix_s) * SECOND if told else 1 << 62

    def taken_us(self) -> dict[Key, int]:
        """When each sample was taken, in simulated time."""
        boots = dict(zip(sorted({key[0] for key in self.witness.seen}), self.cabinet.board.resets, strict=False))
        taken = {}
        for key, seen in self.witness.seen.items():
            if seen.uptime_ms is not None:  # its clock was not set
                taken[key] = boots[key[0]][0] + seen.uptime_ms * 1000
            elif seen.taken_s is not None:
                taken[key] = round((seen.taken_s - self.cabinet.start_unix_s) * SECOND)
        return taken


def find_truth(seed: int, **options: Any) -> Truth:
    """Two lives without cuts: the base, and the reference with room for everything. Raises SimError."""
    base = Life(seed, **options)
    with base.cabinet:
        base.live()
        taken, delivered = base.taken_us(), set(base.witness.seen)
        values = {key: seen.value for key, seen in base.witness.seen.items()}
        names = {wire: view.name for wire, view in base.witness.streams.items()}
        events = base.told_us()
        if not delivered:
            raise SimError(f"nothing arrived at the broker; the gateway printed: {base.cabinet.console_text()[-2000:]}")
    assert base.schedule
    whole = Life(seed, **options | {"journal_bytes": None, "schedule": base.schedule})
    with whole.cabinet:
        whole.live()
        # Later ones have other numbers: that samples were dropped is a record, too.
        ends_us = min(base.schedule.end_us, base.first_drop_us())
        comparable = {key: at_us for key, at_us in whole.taken_us().items() if at_us < ends_us}
        more = {key: whole.witness.seen[key].value for key in comparable}
        agrees = all(more.get(key) == values[key] for key, at_us in taken.items() if at_us < ends_us)
        if agrees:
            values, taken = more | values, comparable | taken
    return Truth(base.operations, base.schedule, base.digest, values, taken, delivered, events, names, agrees)


class Storm:
    """Cuts the power of one life at the operations that are its share."""

    def __init__(
        self,
        seed: int,
        truth: Truth,
        wanted: Callable[[int], tuple[str, ...]],
        tell: Callable[[int, int, list[Violation]], None],
        **options: Any,
    ):
        """`wanted(op)`: the modes of an operation, none where it is not ours. `tell(op, cuts, violations)` after each operation."""
        self.seed, self.truth, self.wanted, self.tell = seed, truth, wanted, tell
        self.life = Life(seed, self._operation, **options | {"schedule": truth.schedule})

    def run(self) -> str:
        """Returns the digest of the operations: the same as the truth's, or the runs cannot be compared."""
        with self.life.cabinet:
            self.life.live()
        return self.life.digest

    def _operation(self, op: int, kind: str, address: int, data: bytes) -> None:
        modes = self.wanted(op)
        if modes:
            found = [violation for mode in modes for violation in self._forked(op, mode, kind, address, data)]
            self.tell(op, len(modes), found)

    def _forked(self, op: int, mode: str, kind: str, address: int, data: bytes) -> list[Violation]:
        """What the child that lives on after this cut finds wrong."""
        ours, childs = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.close(ours)
                found = self._guarded(op, mode, kind, address, data)
                with os.fdopen(childs, "w") as pipe:
                    json.dump(found, pipe)
            finally:
                self.life.cabinet.board.stop()
                os._exit(0)  # nothing of the parent's is to be tidied up by the child
        os.close(childs)
        with os.fdopen(ours) as pipe:
            said = pipe.read()
        os.waitpid(pid, 0)
        rows = json.loads(said) if said else [("storm", "the process that tried it ended without a word")]
        return [Violation(op, mode, self.seed, kind, what) for kind, what in rows]

    def _guarded(self, op: int, mode: str, kind: str, address: int, data: bytes) -> list[tuple[str, str]]:
        try:
            return list(
                Aftermath(self.life, self.truth, random.Random(f"{self.seed} {op} {mode}")).of(
                    mode, kind, address, data
                )
            )
        except Exception:
            return [("storm", traceback.format_exc(limit=-4))]


class Aftermath:
    """One cut and what follows, in a process of its own."""

    def __init__(self, life: Life, truth: Truth, dice: random.Random):
        self.cabinet, self.witness, self.truth, self.dice = life.cabinet, life.witness, truth, dice
        self._inside = range(life._first, life._end)
        self._cut_us = life.cabinet.timeline.now_us
        self._boots = 1

    def of(self, mode: str, kind: str, address: int, data: bytes) -> Iterator[tuple[str, str]]:
        """(kind, what) of all that is wrong."""
        cab = self.cabinet
        cab.board.branch()
        self._damage(kind, address, data, self.dice.choice(DAMAGES) if mode == AGAIN else mode)
        cab.flash.before = self._second_cut(1 + int(self.dice.expovariate(0.3))) if mode == AGAIN else None
        cab.plug_in("uplink")
        cab.start_broker()
        resets = len(cab.board.resets)
        cab.run(_OFF_S)
        cab.restore_power()
        try:
            ledger = self._settle()
        except SimError as error:
            yield "start", str(error)
            return
        if len(cab.board.resets) - resets != self._boots:
            yield "start", f"it restarted by itself ({cab.board.resets[-1][1]}): {cab.console_text()[-600:]}"
        if ledger["queued"] > _FRESH:
            yield "backlog", f"{ledger['queued']} samples are still queued after {_PATIENCE_S} s"
        yield from self._samples(ledger)
        yield from self._balance(ledger)

    def _damage(self, kind: str, address: int, data: bytes, mode: str) -> None:
        flash = self.cabinet.flash
        end = address + (len(data) if kind == "program" else 4096)
        flash.data[address:end] = damaged(kind, bytes(flash.data[address:end]), data, mode, self.dice)

    def _second_cut(self, number: int) -> Callable[[str, int, bytes], None]:
        """A hook that cuts the power again at that flash operation of the new start."""
        cab, left = self.cabinet, [number]

        def before(kind: str, address: int, data: bytes) -> None:
            if address not in self._inside:
                return
            left[0] -= 1
            if not left[0]:
                cab.flash.before = None
                self._cut_again(kind, address, data)

        return before

    def _cut_again(self, kind: str, address: int, data: bytes) -> None:
        from ..board.wait import PowerLost

        self._damage(kind, address, data, self.dice.choice(DAMAGES))
        self._boots += 1
        self.cabinet.cut_power()
        self.cabinet.timeline.after(_OFF_S * SECOND, self.cabinet.restore_power)
        raise PowerLost

    def _settle(self) -> dict[str, Any]:
        """Run until the backlog is in; the ledger then."""
        cab, seen = self.cabinet, self.witness.seen
        end_us = cab.timeline.now_us + _PATIENCE_S * SECOND
        look_us = 0
        despaired = False
        old, late = self._missing(), self._late()
        cab.run(6)
        while True:
            cab.run(1)
            if not cab.board.powered:
                continue  # the second cut
            old, late = ([key for key in keys if key not in seen] for keys in (old, late))
            all_here = bool(seen) and not old and len(late) <= self._lost_max()
            if not all_here and cab.timeline.now_us < look_us:
                continue
            look_us = cab.timeline.now_us + _DESPAIR_S * SECOND
            ledger = cab.ledger()
            empty = ledger["queued"] <= _FRESH and bool(seen)
            if (empty and (all_here or despaired)) or cab.timeline.now_us >= end_us:
                return ledger
            despaired = empty

    def _missing(self) -> list[Key]:
        """Old enough to be safe when the power went, and not at the broker."""
        latest_us = self._cut_us - DURABILITY_S * SECOND
        seen = self.witness.seen
        return [key for key, taken_us in self.truth.taken_us.items() if taken_us < latest_us and key not in seen]

    def _late(self) -> list[Key]:
        """Not at the broker and taken too shortly before the power went to be safe."""
        latest_us = self._cut_us - DURABILITY_S * SECOND
        seen = self.witness.seen
        return [
            key for key, taken_us in self.truth.taken_us.items()
            if latest_us <= taken_us < self._cut_us and key not in seen
        ]  # fmt: skip

    def _unsaid(self, dropped: dict[str, int]) -> list[Key]:
        """Of those the ones that were not dropped by policy, as the gateway says: a journal this small has few blocks to give up."""
        spans = [(event["first"], event["last"]) for event in self.witness.events if event.get("event") == "dropped"]
        policy = {wire for wire, name in self.truth.names.items() if dropped.get(name)}
        return [
            key for key in self._late()
            if key[2] not in policy or not any(first <= list(key[:2]) <= last for first, last in spans)
        ]  # fmt: skip

    def _lost_max(self) -> int:
        """So many the gateway says that the cut can have cost."""
        told = [event["lost_max"] for event in self.witness.events if event.get("event") == "started"]
        return sum(told[-self._boots :])

    def _samples(self, ledger: dict[str, Any]) -> Iterator[tuple[str, str]]:
        names = self.truth.names
        dropped = {row[0]: row[4] for row in ledger["streams"]}
        keys = self._missing()
        missing = Counter(names.get(wire, wire) for _, _, wire in keys)
        for name, count in sorted(missing.items()):
            allowed = dropped.get(name, 0)
            if count <= allowed:
                continue
            lost = [key for key in keys if names.get(key[2], key[2]) == name]
            all_delivered = all(key in self.truth.delivered for key in lost)
            yield (
                "missing" if all_delivered else "uncounted",  # the base dropped the oldest of these, too, but said so
                f"{name}: {count} samples older than {DURABILITY_S} s did not come, {allowed} were counted as dropped; such as "
                + ", ".join(f"epoch {epoch} seq {seq}" for epoch, seq, _ in lost[:_MOST_NAMED]),
            )
        late, lost_max = len(self._unsaid(dropped)), self._lost_max()
        if late > lost_max:
            yield (
                "unsaid",
                f"{late} samples of the last {DURABILITY_S} s did not come, the start said {lost_max} at most",
            )
        told = {(event["ep"], event["sq"]) for event in self.witness.events}
        latest_us = self._cut_us - DURABILITY_S * SECOND
        for epoch, seq in sorted(
            key for key, at_us in self.truth.events.items() if at_us < latest_us and key not in told
        ):
            yield "missing", f"the event epoch {epoch} seq {seq} did not come"
        for before, after in self.witness.renamed[:_MOST_NAMED]:
            yield "identity", f"{names.get(before[2], before[2])}: {before[:2]} came again as {after[:2]}"
        for key, before, after in self.witness.altered[:_MOST_NAMED]:
            yield "altered", f"{names.get(key[2], key[2])} {key[:2]} was {before}, then {after}"
        wrong = [
            key for key, value in self.truth.values.items()
            if self.truth.taken_us.get(key, self._cut_us) < self._cut_us
            and key in self.witness.seen and self.witness.seen[key].value != value
        ]  # fmt: skip
        for key in wrong[:_MOST_NAMED]:
            came, true = self.witness.seen[key].value, self.truth.values[key]
            yield "altered", f"{names.get(key[2], key[2])} {key[:2]} came as {came}, it is {true}"
        if self.witness.errors:
            yield "altered", f"the collector cannot read what came: {self.witness.last_error}"

    def _balance(self, ledger: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Row for row, and against what the broker has: nobody acknowledged what did not arrive."""
        arrived = Counter(self.truth.names.get(wire, self.witness.name(wire)) for _, _, wire in self.witness.seen)
        for name, produced, acknowledged, queued, dropped, quarantined in ledger["streams"]:
            if produced != acknowledged + queued + dropped + quarantined:
                yield (
                    "ledger",
                    (
                        f"{name}: produced {produced}, but acknowledged {acknowledged}, queued {queued}, "
                        f"dropped {dropped}, quarantined {quarantined}"
                    ),
                )
            if not name.startswith("(") and acknowledged > arrived[name]:
                yield "ledger", f"{name}: {acknowledged} acknowledged, but only {arrived[name]} are at the broker"
        if not ledger["balanced"]:
            yield "ledger", "the gateway itself says that it does not balance"
