"""Start, memory and flash of the gateway itself: (what was seen, what to do) for each row. See checklist.py."""

from __future__ import annotations

from .cabling import Cabling
from .row import Row

_REPORT = "send the report to those who maintain the gateways"


def _start(row: Row, _: Cabling) -> tuple[str, str]:
    crash = row.text("crash") or "no crash is recorded"
    if row.said == "safe mode":
        what = f"runs in safe mode after {row.number('failures')} starts that failed ({crash})"
        return (
            what,
            "was it flashed or reset several times in a row? then type restart; else measure the supply first (3.3 V, also "
            f"while the radio sends); if it comes back, {_REPORT}",
        )
    if row.said == "crashed":
        return f"had restarted by itself ({crash})", f"type restart and test again; if it comes back, {_REPORT}"
    return f"started, last reset: {row.text('cause') or 'unknown'}", ""


def _application(row: Row, _: Cabling) -> tuple[str, str]:
    slot = row.text("slot")
    if row.said == "on trial":
        return f"slot {slot} is on trial after an update: the old one comes back unless it proves itself", ""
    return f"version {row.text('version')} in slot {slot}", ""


def _memory(row: Row, _: Cabling) -> tuple[str, str]:
    free = f"{row.number('free') // 1024} KiB free"
    if row.said == "ran out":
        return (
            f"memory ran out {row.number('shortages')} times, {free}",
            f"fewer points or longer names cost less memory: make the site smaller, or {_REPORT}",
        )
    if row.said == "low":
        return f"little memory is left: {free}", "make the site smaller (fewer points), or take a board with PSRAM"
    return free, ""


def _journal(row: Row, _: Cabling) -> tuple[str, str]:
    room, queued = row.number("room_percent"), row.number("queued")
    if row.said == "flash fails":
        return "the flash does not take what is written", "exchange the board; its samples are in memory only"
    if row.said == "not balanced":
        return "the ledger does not add up", _REPORT
    if row.said == "nearly full":
        return (
            f"the journal is nearly full: {queued} samples wait, {room} % are free",
            "get the broker line green: it empties by itself; until then the oldest samples are dropped",
        )
    worn = f", {row.number('worn_blocks')} worn blocks" if row.number("worn_blocks") else ""
    return f"takes samples, {room} % free, {queued} wait for the broker{worn}", ""


ABOUT = {"start": _start, "application": _application, "memory": _memory, "journal": _journal}
