"""How long an outage the journal covers, and how long its flash lives, from the rates of a compiled site.

Bytes a sample are an estimate: most differences from round to round take one byte, some two (docs/FORMAT.md). The gateway says in `diag` what
they are in the field.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..boards.model import FLASH_BLOCK, Board
from ..core import firmware  # noqa: F401  makes `gateway` importable
from .pulse_bounds import TOTAL_BYTES

# isort: split
from gateway.core.schema import MOST_STREAMS
from gateway.journal import state
from gateway.journal.blocks import HEADER
from gateway.journal.journal import shares

CLASSES = ("alarm", "counter", "telemetry")
ERASES = 100_000  # a block of SPI NOR flash bears (data sheets)
LEAST_YEARS = 10
ROUND_BYTES = 13  # length, kind, slot, seq, seconds, uptime, CRC, and the byte for the acknowledgement
VALUE_BYTES = Fraction(3, 2)
KEY_VALUE_BYTES = 4  # in a key frame
SCHEMA_BYTES = 2  # a stream, in every block
EVENTS_PER_DAY, EVENT_BYTES = 200, 120  # judgement: a busy day
COUNTER_VALUE, COUNTERS_A_VALUE = 100, 4  # bytes, see gateway/process/counters.py: written once an hour
KEEPER_ROW, KEEPER_WRITES = 18, 96  # see gateway/process/derived/keeping.py
PAGE_BYTES, PAGE_BLOCKS = 60, 16  # of the ledger, see gateway/journal/ring.py
DAY_H, YEAR_H = 24, 8766


@dataclass(frozen=True)
class RingBudget:
    """One class: `bytes_per_h` on flash, `samples_per_h`, programs an hour, hours of outage that fit, years until its blocks are worn."""

    name: str
    blocks: int
    samples_per_h: Fraction
    bytes_per_h: Fraction
    writes_per_h: Fraction
    outage_h: Fraction
    years: Fraction


@dataclass(frozen=True)
class FlashBudget:
    """Of a site. `outage_h`: until the first class with samples drops its oldest."""

    rings: tuple[RingBudget, ...]
    state_blocks: int
    state_bytes_per_h: Fraction
    state_writes_per_h: Fraction
    state_used: int  # bytes of all values together, of state.MOST
    state_years: Fraction

    @property
    def outage_h(self) -> Fraction:
        return min((ring.outage_h for ring in self.rings if ring.samples_per_h), default=Fraction(0))

    @property
    def years(self) -> Fraction:
        return min([ring.years for ring in self.rings] + [self.state_years])

    @property
    def writes_per_h(self) -> Fraction:
        return sum((ring.writes_per_h for ring in self.rings), self.state_writes_per_h)

    def faults(self) -> Iterator[tuple[str, str]]:
        """(what is wrong, what to do)."""
        for ring in self.rings:
            if ring.years < LEAST_YEARS:
                yield (
                    f"the flash of the class {ring.name} would be worn out after {float(ring.years):.1f} years",
                    "longer periods, windows, or a larger share in [journal]",
                )
        if self.state_years < LEAST_YEARS:
            yield (
                f"the flash for totals and the ledger would be worn out after {float(self.state_years):.1f} years",
                "persist_s at the pulse inputs: a power cut then takes up to so many seconds of pulses",
            )
        if self.state_used > state.MOST:
            yield (
                f"totals, counters and the ledger take {self.state_used} bytes of the state ring, which has {state.MOST}",
                "fewer counters, pulse inputs or streams on this gateway",
            )

    def as_data(self) -> dict[str, Any]:
        """For tools."""
        rows = [
            {
                "class": ring.name,
                "blocks": ring.blocks,
                "samples_per_h": round(float(ring.samples_per_h), 1),
                "bytes_per_h": round(float(ring.bytes_per_h)),
                "writes_per_h": round(float(ring.writes_per_h)),
                "outage_h": round(float(ring.outage_h), 1),
                "years": round(float(ring.years), 1),
            }
            for ring in self.rings
        ]
        return {
            "outage_h": round(float(self.outage_h), 1),
            "writes_per_h": round(float(self.writes_per_h)),
            "years": round(float(self.years), 1),
            "rings": rows,
            "state": {
                "blocks": self.state_blocks,
                "bytes": self.state_used,
                "bytes_per_h": round(float(self.state_bytes_per_h)),
                "writes_per_h": round(float(self.state_writes_per_h)),
                "years": round(float(self.state_years), 1),
            },
        }

    def as_lines(self) -> Iterator[str]:
        """For people."""
        yield (
            f"flash: an outage of {_time(self.outage_h)} is covered, {float(self.writes_per_h):.0f} writes an hour, "
            f"good for {_years(self.years)}"
        )
        for ring in self.rings:
            size = ring.blocks * FLASH_BLOCK // 1024
            if ring.samples_per_h:
                per_sample = float(ring.bytes_per_h / ring.samples_per_h)
                covers = f"{_time(ring.outage_h)} at {float(ring.samples_per_h):.0f} samples an hour, about {per_sample:.1f} bytes each"
            else:
                covers = f"{_time(ring.outage_h)} of a busy day's events"
            yield f"  {ring.name:<10} {size:>5} KiB  {covers}, good for {_years(ring.years)}"
        yield (
            f"  {'totals':<10} {self.state_blocks * FLASH_BLOCK // 1024:>5} KiB  {self.state_used} of {state.MOST} bytes used, "
            f"{float(self.state_writes_per_h):.0f} writes an hour, good for {_years(self.state_years)}"
        )


def _time(hours: Fraction) -> str:
    return f"{float(hours) / DAY_H:.1f} days" if hours >= 48 else f"{float(hours):.0f} h"


def _years(years: Fraction) -> str:
    return "over a century" if years > 100 else f"{float(years):.0f} years"


def flash_budget(board: Board, body: Mapping[str, Any], pulse_writes_per_day: int) -> FlashBudget:
    """Of a compiled site; `pulse_writes_per_day`: of pulse totals, see pulse_bounds."""
    total = board.partitions["journal"].size // FLASH_BLOCK
    journal_blocks, state_blocks = state.share(total)
    blocks = shares(journal_blocks, body["journal"]["percents"])
    rings = tuple(_ring(body, cls, blocks[cls]) for cls in range(len(CLASSES)))
    inputs = sum(row[0] == "pulse" for _, _, rows in body["polls"] for row in rows)
    counters = sum(any(spec[0] == "counter" for spec in point[2]) for point in body["points"])
    values = [  # bytes, writes an hour
        (TOTAL_BYTES * inputs, Fraction(pulse_writes_per_day, DAY_H)),
        *[(COUNTER_VALUE, Fraction(1))] * -(-counters // COUNTERS_A_VALUE),
        (KEEPER_ROW * len(body["derived"]), Fraction(KEEPER_WRITES, DAY_H)),
    ]
    for cls, ring in enumerate(rings):
        page = PAGE_BYTES + 2 * sum(stream[5] == cls for stream in body["streams"])
        values.append((page, ring.bytes_per_h / (PAGE_BLOCKS * FLASH_BLOCK)))
    kept = [(state.record_bytes(size), writes) for size, writes in values if size]
    used = sum(size for size, _ in kept)
    bytes_per_h = sum((size * writes for size, writes in kept), Fraction(0))
    room = max(1, FLASH_BLOCK - HEADER - used)
    years = _life(state_blocks, room, bytes_per_h)
    return FlashBudget(rings, state_blocks, bytes_per_h, sum((w for _, w in kept), Fraction(0)), used, years)


def fair_percents(body: Mapping[str, Any]) -> tuple[int, int]:
    """(alarm, counter): shares of the journal by which all classes cover an outage of the same length, at least 5 percent each."""
    rates = [_ring(body, cls, 1).bytes_per_h for cls in range(len(CLASSES))]
    total = sum(rates)
    alarm, counter, _ = (max(5, min(90, round(100 * rate / total))) for rate in rates)
    return alarm, counter


def _life(blocks: int, room: int, bytes_per_h: Fraction) -> Fraction:
    """Years until every block has been erased ERASES times, when each takes so many bytes a round."""
    return Fraction(blocks * ERASES * room, YEAR_H) / bytes_per_h if bytes_per_h else Fraction(1000)


def _ring(body: Mapping[str, Any], cls: int, blocks: int) -> RingBudget:
    groups: dict[tuple, int] = {}
    for stream in body["streams"]:
        if stream[5] == cls:
            key = tuple(stream[5:])
            groups[key] = groups.get(key, 0) + 1
    samples = bytes_per_h = rounds = Fraction(0)
    once = Fraction(0)  # bytes that each block holds before its first difference
    for (_, period_s, *_), count in groups.items():
        per_h = Fraction(3600, period_s) * -(-count // MOST_STREAMS)
        rounds += per_h
        samples += Fraction(3600, period_s) * count
        bytes_per_h += per_h * ROUND_BYTES + Fraction(3600, period_s) * count * VALUE_BYTES
        once += count * (SCHEMA_BYTES + KEY_VALUE_BYTES) + 10
    if cls == 0:
        rounds += Fraction(EVENTS_PER_DAY, DAY_H)
        bytes_per_h += Fraction(EVENTS_PER_DAY * EVENT_BYTES, DAY_H)
    record = bytes_per_h / rounds if rounds else Fraction(0)
    room = max(Fraction(FLASH_BLOCK, 8), FLASH_BLOCK - HEADER - once - record / 2)
    on_flash = bytes_per_h * FLASH_BLOCK / room
    outage = (blocks - 1) * FLASH_BLOCK / on_flash if on_flash else Fraction(0)
    return RingBudget(CLASSES[cls], blocks, samples, on_flash, 2 * rounds, outage, _life(blocks, FLASH_BLOCK, on_flash))
