"""Compact packets (docs/FORMAT.md) as samples: read by the firmware's own record codec, so there is one definition of the bytes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..core import firmware  # noqa: F401  makes `gateway` importable
from .sample import Sample
from .senml_resolve import SenmlError

_VERSION = 1
_EPOCH_2000 = 946684800
_CLASSES = {"alarm": 0, "counter": 1, "telemetry": 2}


def schema_of(content: Any, name: str = "") -> Any:
    """The Schema of a retained message on .../schema/<name>; `name`: its id in hex, checked if given. Raises ValueError."""
    from gateway.core.schema import Schema

    streams = content["streams"]
    pairs = [(stream, exponent) for stream, exponent in streams]
    if not pairs or not all(type(part) is int and -40 <= part < 2**32 for pair in pairs for part in pair):
        raise ValueError("a schema's streams are pairs of id and exponent")
    ids, exponents = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if ids[0] < 0 or any(later <= earlier for earlier, later in zip(ids, ids[1:], strict=False)):
        raise ValueError("the stream ids of a schema ascend")
    if content["class"] not in _CLASSES or type(content["period_s"]) is not int or content["period_s"] < 0:
        raise ValueError("a schema has a class (alarm, counter, telemetry) and a period in seconds")
    made = Schema(_CLASSES[content["class"]], content["period_s"], ids, exponents)
    if name and f"{made.id:08x}" != name.lower():
        raise ValueError(f"the schema {name} says what {made.id:08x} is")
    return made


def decode_compact(payload: bytes, schemas: dict[int, Any]) -> list[Sample]:
    """The samples of a packet. Raises SenmlError with the byte; KeyError-like lack of a schema is a SchemaMissing."""
    from gateway.core.errors import FrameError
    from gateway.core.quality import BAD, NO_DATA, reason_name
    from gateway.core.record import Round
    from gateway.core.record_reader import Reader
    from gateway.core.short_name import short

    if payload[:1] != bytes((_VERSION,)):
        raise SenmlError(f"byte 0: no compact packet of version {_VERSION}")
    reader = Reader(dict(schemas))
    samples: list[Sample] = []
    at = 1
    while at < len(payload):
        try:
            end, what = reader.read(payload, at, len(payload))
        except FrameError as error:
            if error.reason == NO_DATA:
                raise SchemaMissing(f"byte {at}: the schema of this record, or its key frame, is not known") from None
            raise SenmlError(f"byte {at}: a damaged record ({reason_name(error.reason)})") from None
        at = end
        if not isinstance(what, Round):
            continue
        time = _EPOCH_2000 + what.seconds if what.synced else 0
        uptime = None if what.synced else what.uptime_ms
        for stream, exponent, mantissa, mark in what.samples():
            value: int | Decimal | None = None
            if mark >> 6 != BAD:
                value = mantissa if exponent == 0 else Decimal(mantissa).scaleb(exponent)
            reason = reason_name(mark) if mark else ""
            samples.append(Sample(short(stream), time, value, reason, what.epoch, what.seq, uptime))
    return samples


class SchemaMissing(SenmlError):
    """A compact packet whose schema has not been seen (yet)."""
