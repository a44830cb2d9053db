"""The rows that `satama collect` writes: ordered by gateway, stream, epoch and record number, each with its best known time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from .collector import Collector, District


@dataclass(frozen=True)
class Row:
    """`value`: exact; None for a bad sample. `time_ms`: Unix milliseconds, None where no event has placed the sample yet."""

    gateway: str
    stream: str
    unit: str
    time_ms: int | None
    value: int | Decimal | None
    quality: str
    reason: str
    epoch: int
    seq: int
    placed: str
    time_source: str


def rows_of(name: str, collector: Collector) -> Iterator[Row]:
    """The rows of one gateway. A stream without a birth goes by its short name."""
    streams = sorted((view.name or wire, wire) for wire, view in collector.streams.items())
    for stream, wire in streams:
        view = collector.streams[wire]
        for sample in sorted(view.samples, key=lambda one: (one.epoch, one.seq)):
            at = collector.placing.place(sample)
            yield Row(
                name,
                stream,
                view.unit,
                at.time_ms,
                sample.value,
                sample.quality,
                sample.reason,
                sample.epoch,
                sample.seq,
                at.by,
                at.source,
            )


def district_rows(district: District) -> Iterator[Row]:
    for name, collector in district:
        yield from rows_of(name, collector)


def time_text(time_ms: int | None) -> str:
    """ISO 8601 in UTC, milliseconds only where there are any; empty for None."""
    if time_ms is None:
        return ""
    try:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"
    return moment + (f".{time_ms % 1000:03d}" if time_ms % 1000 else "") + "Z"
