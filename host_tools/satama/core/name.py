"""What anything may be called: devices, points, boards, streams."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from .problems import Wrong


def _name(value: Any) -> str:
    allowed = "A-Z a-z 0-9 - : . _ , at most 32, the first a letter or digit (RFC 8428 section 4.5.1)"
    if not isinstance(value, str):
        raise Wrong("must be text in quotes", allowed)
    plain = value.isascii() and all(c.isalnum() or c in "-:._" for c in value)
    if not plain or not value[:1].isalnum() or len(value) > 32:
        raise Wrong("is not a valid name", allowed)
    return value


Name = Annotated[str, BeforeValidator(_name)]
