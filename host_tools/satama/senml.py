"""SenML packs as the gateway sends them (RFC 8428, CBOR), resolved to samples with exact values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import cbor2

BASE_NAME, BASE_TIME, NAME, VALUE, STRING, TIME = -2, -3, 0, 2, 3, 6
ABSOLUTE = 1 << 28  # RFC 8428, 4.5.3: from here on a time is absolute


class SenmlError(ValueError):
    """Not a SenML pack of ours; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One resolved record. `value` is None for a bad sample; `time` is Unix seconds, or relative to the sending while unknown."""

    stream: int
    time: int
    value: int | Decimal | None
    reason: str  # empty: good
    epoch: int
    seq: int
    uptime_ms: int | None

    @property
    def key(self) -> tuple[int, int, int]:
        """What makes a duplicate recognisable."""
        return self.epoch, self.seq, self.stream

    @property
    def absolute(self) -> bool:
        return self.time >= ABSOLUTE


def decode(payload: bytes) -> tuple[str, list[Sample]]:
    """(base name, samples) of a CBOR pack. Raises SenmlError."""
    try:
        records = cbor2.loads(payload, tag_hook=_tag)
    except Exception as error:
        raise SenmlError(f"no CBOR: {error}") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise SenmlError("a pack is an array of maps")
    base, time, epoch, seq, uptime = "", 0, -1, -1, None
    samples = []
    for at, record in enumerate(records):
        base = record.get(BASE_NAME, base)
        if BASE_TIME in record:
            time = record[BASE_TIME]
            epoch, seq, uptime = record.get("ep", -1), record.get("sq", -1), record.get("ms")
        name = record.get(NAME)
        if not isinstance(name, str) or not isinstance(time, int):
            raise SenmlError(f"record {at} lacks a name or a time")
        has_value = VALUE in record
        if has_value == (STRING in record):
            raise SenmlError(f"record {at} ({name}) must have exactly one value")
        if has_value:
            value, reason = record[VALUE], record.get("ql", "")
            if type(value) not in (int, Decimal):
                raise SenmlError(f"record {at} ({name}) has no exact number: {value!r}")
        else:
            if not name.endswith("/q"):
                raise SenmlError(f"record {at} ({name}) has a text but is no reason record")
            name, value, reason = name[:-2], None, record[STRING]
        try:
            stream = int(name, 16)
        except ValueError:
            raise SenmlError(f"record {at}: {name!r} is no stream id") from None
        samples.append(Sample(stream, time + record.get(TIME, 0), value, reason, epoch, seq, uptime))
    return base, samples


def _tag(decoder: Any, tag: Any = None) -> Any:
    """Decimal fractions (tag 4) stay exact; cbor2 knows them, this is for what it does not know."""
    raise SenmlError(f"CBOR tag {(tag or decoder).tag} has no place in a pack")
