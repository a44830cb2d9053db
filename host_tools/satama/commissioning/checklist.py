"""The gateway's self-test as a checklist for people: what was seen, and for each red line the next thing to do with their hands. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from . import about_field, about_gateway, about_way
from .cabling import Cabling
from .row import Row

State = Literal["ok", "red", "waits", "open"]
_ABOUT: dict[str, Callable[[Row, Cabling], tuple[str, str]]] = {
    **about_gateway.ABOUT,
    **about_field.ABOUT,
    **about_way.ABOUT,
}
_TELL = "tell it to those who maintain the gateways"
_WAIT = "wait; it is asked again"


@dataclass(frozen=True)
class Line:
    """One line. `state`: ok, red, waits (nobody can tell yet), open (a person has to see for himself); `advice` is "" where there is none."""

    check: str
    of: str
    state: State
    what: str
    advice: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def checklist(answer: Mapping[str, Any], cabling: Cabling | None = None) -> list[Line]:
    """The lines of a gateway's answer to `selftest`, in its order. A check of a newer firmware is shown as the gateway put it."""
    rows = [Row(row) for row in answer.get("checks", []) if isinstance(row, dict)]
    silent = {row.of for row in rows if row.check == "bus" and row.ok is False and row.said == "silent"}
    return [_line(row, cabling or Cabling(), silent) for row in rows]


def _line(row: Row, cabling: Cabling, silent: set[str]) -> Line:
    about = _ABOUT.get(row.check)
    what, advice = about(row, cabling) if about else (row.said, "")
    if row.ok is True:
        state: State = "ok"
    elif row.ok is False:
        state, advice = "red", advice or _TELL
        if row.check == "device" and row.text("bus") in silent:
            advice = f"see bus {row.text('bus')}: none of its devices is heard"
    elif row.waits:
        state, advice = "waits", _WAIT
    else:
        state = "open"
    if state == "ok" and not row.remark:
        advice = ""
    return Line(row.check, row.of, state, what, advice)


def passed(answer: Mapping[str, Any]) -> bool:
    """Whether the gateway calls it passed; one that says nothing of itself has not."""
    return answer.get("passed") is True and bool(answer.get("checks"))
