"""What a gateway sends - SenML packs in CBOR or JSON, compact packets - as samples with exact values.

The general part, any pack of RFC 8428, is in senml_resolve.py; this is what our labels make of it (docs/data-team.md).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .sample import Sample
from .senml_resolve import ABSOLUTE, Resolved, SenmlError, apply_bases, records

__all__ = ["ABSOLUTE", "Sample", "SenmlError", "decode", "format_of", "samples_of"]

_COMPACT = 1  # the first byte of a compact packet: its version


def format_of(payload: bytes) -> str:
    """cbor, json or compact, by the first byte; empty when it is none of them."""
    if payload[:1] == bytes((_COMPACT,)):
        return "compact"
    if payload[:1] and payload[0] >> 5 == 4:
        return "cbor"
    return "json" if payload.lstrip()[:1] in (b"[", b"{") else ""


def decode(payload: bytes, hint: str = "", schemas: dict[int, Any] | None = None) -> tuple[str, list[Sample]]:
    """(base name, samples) of a payload. Raises SenmlError.

    `hint`: "cbor", "json" or "compact" where it is known, else the first byte tells. `schemas`: those of compact packets by their id,
    gateway.core.schema.Schema; a compact packet names no gateway.
    """
    if (hint or format_of(payload)) == "compact":
        from .compact import decode_compact

        return "", decode_compact(payload, schemas or {})
    return samples_of(records(payload))


def samples_of(pack: list[dict[str, Any]]) -> tuple[str, list[Sample]]:
    """(base name, samples) of the records of a pack of ours."""
    samples = []
    base = pack[0].get("bn", "") if pack else ""
    epoch, seq, uptime = -1, -1, None
    for at, (record, resolved) in enumerate(zip(pack, apply_bases(pack), strict=True)):
        if "bt" in record:
            epoch, seq, uptime = record.get("ep", -1), record.get("sq", -1), record.get("ms")
            if type(epoch) is not int or type(seq) is not int or type(uptime) not in (int, type(None)):
                raise SenmlError(f"record {at}: ep, sq and ms are whole numbers")
        samples.append(_sample(at, resolved, base, epoch, seq, uptime))
    return base, samples


def _sample(at: int, record: Resolved, base: str, epoch: int, seq: int, uptime: int | None) -> Sample:
    name, value, reason = record.name.removeprefix(base), record.value, record.extra.get("ql", "")
    if isinstance(value, str):
        if not name.endswith("/q"):
            raise SenmlError(f"record {at} ({name}) has a text but is no reason record")
        name, value, reason = name[:-2], None, value
    elif type(value) not in (int, Decimal):
        raise SenmlError(f"record {at} ({name}) has no number")
    if not isinstance(reason, str) or not (reason or value is not None):
        raise SenmlError(f"record {at} ({name}): the reason must be a word")
    if not name:
        raise SenmlError(f"record {at} lacks a name")
    return Sample(name, record.time, value, reason, epoch, seq, uptime)
