"""Resolving SenML packs (RFC 8428 section 4.6): base fields applied to every record, times made absolute, nothing rounded."""

from __future__ import annotations

import base64
import binascii
import decimal
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .senml_cbor import CborError
from .senml_cbor import loads as _cbor
from .senml_json import JsonError
from .senml_json import loads as _json

ABSOLUTE = 1 << 28  # RFC 8428, 4.5.3: from here on a time is absolute
VERSION = 10  # of RFC 8428

# RFC 8428, table 4
_CBOR_LABELS = {-1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs"}
_CBOR_LABELS |= {0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd"}
_TEXTS = ("bn", "bu", "n", "u", "vs")
_NUMBERS = ("bt", "bv", "bs", "v", "s", "t", "ut")
_VALUES = ("v", "vs", "vb", "vd")
_KNOWN = frozenset(_CBOR_LABELS.values())
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
_EXACT = decimal.Context(prec=2000, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow])

Number = int | Decimal


class SenmlError(ValueError):
    """Not a SenML pack; the text says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """One record with its base fields applied. `value`: number, text, truth or bytes; None where there is only a sum.

    `time`: Unix seconds, or relative to now (below ABSOLUTE) as long as nobody said what time it is. `extra`: labels of extensions.
    """

    name: str
    unit: str
    time: Number
    value: Number | str | bool | bytes | None
    sum: Number | None = None
    update_s: Number | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """The fields by their JSON labels."""
        label = "vd" if isinstance(self.value, bytes) else "vs" if isinstance(self.value, str) else "v"
        if isinstance(self.value, bool):
            label = "vb"
        fields = {"n": self.name, "u": self.unit or None, label: self.value, "s": self.sum, "t": self.time or None}
        fields["ut"] = self.update_s
        return {key: value for key, value in fields.items() if value is not None} | self.extra


def records(payload: bytes) -> list[dict[str, Any]]:
    """The records of a pack in CBOR or JSON, by their JSON labels. Raises SenmlError."""
    if not payload:
        raise SenmlError("the pack is empty: not a single byte")
    try:
        found = _cbor(payload) if payload[0] >= 0x80 else _json(payload)
    except (CborError, JsonError) as error:
        raise SenmlError(str(error)) from None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise SenmlError("a pack is an array of maps")
    return [_labelled(at, record) for at, record in enumerate(found)] if payload[0] >= 0x80 else found


def _labelled(at: int, record: dict[Any, Any]) -> dict[str, Any]:
    out = {}
    for label, value in record.items():
        if type(label) is int:
            name = _CBOR_LABELS.get(label)
            if name is None:
                continue  # of a later extension; what must be understood has a text for a label
        elif label in _KNOWN:
            raise SenmlError(f"record {at}: in CBOR the label {label!r} is written as its number")
        else:
            name = label
        out[name] = value
    return out


def resolve(
    pack: list[dict[str, Any]], now: Number | None = None, known: frozenset[str] = frozenset()
) -> list[Resolved]:
    """The records of a pack in order of time, as 4.6 asks for; with `now`, Unix seconds, no relative times are left.

    `known`: labels ending in "_" that the caller understands. Raises SenmlError: an invalid pack is refused whole.
    """
    resolved = apply_bases(pack, known)
    if now is not None:
        resolved = [_absolute(record, now) for record in resolved]
    return sorted(resolved, key=lambda record: record.time)


def _absolute(record: Resolved, now: Number) -> Resolved:
    if record.time >= ABSOLUTE:
        return record
    time = _sum(record.time, now)
    return Resolved(record.name, record.unit, time, record.value, record.sum, record.update_s, record.extra)


def apply_bases(pack: list[dict[str, Any]], known: frozenset[str] = frozenset()) -> list[Resolved]:
    """As resolve(), in the order of the pack and with relative times left as they are."""
    bases: dict[str, Any] = {"bn": "", "bt": 0, "bu": "", "bv": 0, "bs": None}
    version = None
    out = []
    for at, record in enumerate(pack):
        _check(at, record, known)
        found = record.get("bver", VERSION if version is None else version)
        if type(found) is not int or not 0 < found <= VERSION:
            raise SenmlError(f"record {at}: version {found!r} of SenML is not known, only those up to {VERSION}")
        if version not in (None, found):
            raise SenmlError(f"record {at}: version {found} in a pack of version {version}")
        version = found
        bases.update((label, record[label]) for label in bases if label in record)
        name = bases["bn"] + record.get("n", "")
        if not name:
            raise SenmlError(f"record {at} lacks a name")
        if not _NAME.fullmatch(name):
            raise SenmlError(
                f"record {at}: {name[:60]!r} is no name (letters, digits, - : . / _; the first a letter or digit)"
            )
        total = None
        if "s" in record or bases["bs"] is not None:
            total = _sum(bases["bs"] or 0, record.get("s", 0))
        out.append(
            Resolved(
                name,
                record.get("u", bases["bu"]),
                _sum(bases["bt"], record.get("t", 0)),
                _value(at, name, record, bases["bv"], total),
                total,
                record.get("ut"),
                {label: value for label, value in record.items() if label not in _KNOWN},
            )
        )
    return out


def _value(at: int, name: str, record: dict[str, Any], base: Number, total: Number | None) -> Any:
    own = [label for label in _VALUES if label in record]
    if len(own) > 1 or (not own and total is None):
        said = " and ".join(own) or "none, and no sum either"
        raise SenmlError(f"record {at} ({name}) must have exactly one value: it has {said}")
    if not own:
        return None
    value = record[own[0]]
    if own[0] == "v":
        return _sum(base, value)
    if own[0] == "vd" and isinstance(value, str):
        try:
            return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise SenmlError(f"record {at} ({name}): vd is no base64url") from None
    return value


def _sum(base: Number, value: Number) -> Number:
    if not base:
        return value
    if type(base) is int and type(value) is int:
        return base + value
    try:
        return _EXACT.add(Decimal(base), Decimal(value))
    except decimal.DecimalException:
        raise SenmlError(f"{base} + {value} is beyond any measurement") from None


def _is_number(value: object) -> bool:
    return type(value) in (int, Decimal)


_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {label: (_is_number, "a number") for label in _NUMBERS}
_TYPES |= {label: (lambda value: isinstance(value, str), "a text") for label in _TEXTS}
_TYPES["vb"] = (lambda value: isinstance(value, bool), "true or false")
_TYPES["vd"] = (lambda value: isinstance(value, bytes | str), "a byte string, in JSON as base64url")


def _check(at: int, record: dict[str, Any], known: frozenset[str]) -> None:
    for label, value in record.items():
        fits, what = _TYPES.get(label, (None, ""))
        if fits and not fits(value):
            raise SenmlError(f"record {at}: {label} must be {what}, not {str(value)[:40]!r}")
        if label.endswith("_") and label not in known:
            raise SenmlError(f"record {at}: the label {label!r} must be understood, and is not known here")
