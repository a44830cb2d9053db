"""The commissioning report, as JSON for tools and as HTML to be printed and kept in the cabinet.

JSON: {
  "report": 1,                    version of this schema
  "made": "2026-11-24T21:30:00Z", "by": NAME or "", "tool": "satama VERSION", "port": PORT,
  "passed": true or false,
  "gateway": {"gateway", "site" or "", "board", "mac", "version", "vm", "config", "epoch", "uptime_s"},
  "slots": {"running", "active", "on_trial", "version", "config"} of the application slots, {} when the gateway does not tell,
  "flashed": {"firmware", "firmware_sha256", "regions": [{"name", "at", "bytes", "sha256", "kept"}]}, {} when nothing was,
  "tests": how often the self-test was run: 0 when nothing answered after the write, "checks": [{"check", "of", "state", "what", "advice", and the gateway's figures under "figures"}]
}
State of a check: ok, red, waits (nobody could tell yet), open (to be seen by a person). No secrets are in it, nor a checksum over
them, on which somebody could try passwords: that of the board's files is left empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from .. import __version__
from .after_flash import Commissioned
from .row import Row

SCHEMA = 1
SUFFIXES = (".html", ".json")
_FLASHED = ("firmware", "firmware_sha256")
_SLOTS = ("running", "active", "on_trial", "version", "config")
_SECRET = ("filesystem", "vfs")  # regions with passwords and keys in them
_IDENTITY = ("gateway", "board", "mac", "version", "vm", "config")
_COUNTS = ("epoch", "uptime_s")
_ROW = ("check", "of", "ok", "said", "waits")
_LABELS = {
    "gateway": "Gateway",
    "site": "Site",
    "board": "Board",
    "mac": "MAC",
    "version": "Application",
    "vm": "MicroPython",
    "config": "Configuration",
    "epoch": "Start number (epoch)",
    "uptime_s": "Running for (s)",
}
_MARKS = {"ok": "✔ ok", "red": "✘ RED", "waits": "… waits", "open": "○ to be seen"}
_STYLE = """
@page { size: A4; margin: 15mm }
body { font: 10pt/1.35 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #111; max-width: 180mm; margin: 1em auto; padding: 0 1em }
h1 { font-size: 16pt; margin: 0 } h2 { font-size: 12pt; margin: 1.2em 0 .3em }
table { border-collapse: collapse; width: 100% } tr { break-inside: avoid }
th, td { text-align: left; vertical-align: top; padding: .25em .6em .25em 0; border-bottom: 1px solid #ccc; overflow-wrap: anywhere }
td.mark, td.tight { white-space: nowrap } td.mark { font-weight: 600 } .ok td.mark { color: #176b2c } .red td.mark { color: #b00020 }
.verdict { font-size: 13pt; font-weight: 700; padding: .4em .7em; margin: .8em 0; border: 2px solid } .verdict.ok { color: #176b2c }
.verdict.red { color: #b00020 } .advice { font-style: italic } code { font-size: 8.5pt }
.sign td { height: 3em; border-bottom: 1px solid #111; vertical-align: bottom }
@media print { body { margin: 0; padding: 0; max-width: none } }
"""


def as_dict(
    done: Commissioned, *, port: str = "", by: str = "", site: str = "", flashed: Mapping[str, Any] | None = None,
    made: datetime | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The report. `site`: name of the site; `flashed`: Flashed.as_dict() of satama.flashing; `made`: now, if left out."""
    rows = [row for row in done.answer.get("checks", []) if isinstance(row, dict)]
    first = len(done.lines) - len(rows)  # lines of our own stand before the gateway's
    checks = []
    for at, line in enumerate(done.lines):
        figures = {} if at < first else {key: value for key, value in rows[at - first].items() if key not in _ROW}
        checks.append(line.as_dict() | {"figures": figures})
    who = Row(done.answer)
    return {
        "report": SCHEMA,
        "made": (made or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": by,
        "tool": f"satama {__version__}",
        "port": port,
        "passed": done.passed,
        "gateway": {"site": site}
        | {key: who.text(key) for key in _IDENTITY}
        | {key: who.number(key) for key in _COUNTS}
        | {"mac": _mac(who.text("mac"))},
        "slots": {key: done.slots[key] for key in _SLOTS if key in done.slots},
        "flashed": _written(flashed) if flashed else {},
        "tests": done.tests,
        "checks": checks,
    }


def _mac(digits: str) -> str:
    """As labels and flash tools write it."""
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2)) if re.fullmatch("[0-9a-f]{12}", digits) else digits


def _written(flashed: Mapping[str, Any]) -> dict[str, Any]:
    regions = [dict(region) for region in flashed.get("regions", [])]
    for region in regions:
        if region["name"] in _SECRET:
            region["sha256"] = ""
    return {key: flashed[key] for key in _FLASHED if key in flashed} | {"regions": regions}


def as_json(report: Mapping[str, Any]) -> bytes:
    return json.dumps(report, indent=1, ensure_ascii=False).encode() + b"\n"


def as_html(report: Mapping[str, Any]) -> bytes:
    """One file without anything from elsewhere. Whatever comes from the gateway or the site file is escaped."""
    identity = report["gateway"]
    title = f"Commissioning report: {identity['gateway']}"
    passed = report["passed"]
    red = sum(check["state"] == "red" for check in report["checks"])
    verdict = "PASSED" if passed else f"NOT PASSED: {red} red" if red else "NOT PASSED: not all could be told"
    facts = [(_LABELS[key], value) for key, value in identity.items() if value or report["tests"]]
    facts += [
        ("Made", _local(report["made"])),
        ("By", report["by"]),
        ("Port", report["port"]),
        ("Tool", report["tool"]),
    ]
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{_safe(title)}</title><style>{_STYLE}</style></head><body>',
        f"<h1>{_safe(title)}</h1>",
        f'<p class="verdict {"ok" if passed else "red"}">{_safe(verdict)}</p>',
        _facts(facts),
        "<h2>Checks</h2>",
        "<table><thead><tr><th>Result</th><th>Check</th><th>Seen, and what to do</th></tr></thead><tbody>",
        *(_check(check) for check in report["checks"]),
        "</tbody></table>",
        *_flashed(report["flashed"]),
        *_slots(report["slots"]),
        '<h2>Handed over</h2><table class="sign"><tr><td>Date</td><td>Name</td><td>Signature</td></tr></table>',
        "</body></html>",
    ]
    return "\n".join(parts).encode() + b"\n"


def _check(check: Mapping[str, Any]) -> str:
    advice = f'<div class="advice">→ {_safe(check["advice"])}</div>' if check["advice"] else ""
    name = f"{check['check']} {check['of']}".strip()
    state = check["state"]
    return (
        f'<tr class="{_safe(state)}"><td class="mark">{_safe(_MARKS.get(state, state))}</td>'
        f"<td>{_safe(name)}</td><td>{_safe(check['what'])}{advice}</td></tr>"
    )


def _facts(rows: list[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>" for name, value in rows if value != "")
    return f"<table>{cells}</table>"


def _flashed(flashed: Mapping[str, Any]) -> list[str]:
    if not flashed:
        return []
    rows = [
        f'<tr><td class="tight">{_safe(region["name"])}</td><td class="tight">0x{region["at"]:X}</td>'
        f'<td class="tight">{region["bytes"]}</td><td class="tight">{"unchanged" if region["kept"] else "written"}</td>'
        f"<td><code>{_safe(region['sha256'] or 'not told: these bytes hold secrets')}</code></td></tr>"
        for region in flashed.get("regions", [])
    ]
    facts = [
        (label, flashed.get(key, ""))
        for key, label in (
            ("firmware", "MicroPython"),
            ("firmware_sha256", "Its file, SHA-256"),
        )
    ]
    head = "<tr><th>Region</th><th>At</th><th>Bytes</th><th></th><th>SHA-256</th></tr>"
    return ["<h2>Flashed</h2>", _facts(facts), f"<table><thead>{head}</thead><tbody>", *rows, "</tbody></table>"]


def _slots(slots: Mapping[str, Any]) -> list[str]:
    if not slots:
        return []
    facts = [
        (key, value if isinstance(value, str | int) else json.dumps(value)) for key, value in sorted(slots.items())
    ]
    return ["<h2>Application slots</h2>", _facts(facts)]


def _local(made: str) -> str:
    moment = datetime.strptime(made, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M %z")


def _safe(value: Any) -> str:
    return escape(str(value), quote=True)
