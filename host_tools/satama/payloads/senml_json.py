"""SenML in JSON (RFC 8428 section 5): read and written with numbers digit for digit."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

_MOST_DIGITS = 400  # far beyond any measurement, near enough to be written out


class JsonError(ValueError):
    """No JSON that a pack may be; the text names the place."""


def loads(data: bytes) -> Any:
    """What the text says, with int and Decimal for numbers. Raises JsonError."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise JsonError(f"byte {error.start}: the text is not UTF-8") from None
    try:
        return json.loads(
            text,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_no_number,
            object_pairs_hook=_without_repetition,
        )
    except json.JSONDecodeError as error:
        at = len(text[: error.pos].encode())
        raise JsonError(f"byte {at} (line {error.lineno}): no JSON: {error.msg}") from None
    except RecursionError:
        raise JsonError("no JSON of ours: nested too deep") from None


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise JsonError(f"{text[:40]} is beyond any measurement") from None
    if (
        len(text) > _MOST_DIGITS
        or abs(value.as_tuple().exponent) > _MOST_DIGITS
        or abs(value.adjusted()) > _MOST_DIGITS
    ):
        raise JsonError(f"{text[:40]} is beyond any measurement")
    return value


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise JsonError(f"{text[:40]}... is beyond any measurement")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise JsonError(f"{text} is no number")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JsonError(f"the label {twice!r} stands twice in one record")
    return found


def number(value: int | Decimal) -> str:
    """A number with all its digits: no exponent, nothing rounded."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def dumps(records: Iterable[dict[str, Any]]) -> str:
    """A pack, one record a line. Bytes become base64url without padding, as RFC 8428 asks for."""
    lines = []
    for record in records:
        fields = (f"{json.dumps(label, ensure_ascii=False)}:{_text(value)}" for label, value in record.items())
        lines.append("{" + ",".join(fields) + "}")
    return "[" + ",\n ".join(lines) + "]"


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = base64.urlsafe_b64encode(value).decode().rstrip("=")
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)
