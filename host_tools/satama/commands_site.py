"""`satama check` and `satama build`: is the site file right, and what does the device get?"""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from .compiler import Compiled, compile_site
from .ids import ids_path, write_whole
from .problems import Problems

WRONG_USE = 2

SiteArgument = Annotated[Path, typer.Argument(help="the site file, e.g. sim/sites/demo.toml", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="for tools: one JSON object on standard output")]


def register(app: typer.Typer) -> None:
    """Add the commands to the `satama` command."""
    app.command()(check)
    app.command()(build)


def check(site: SiteArgument, as_json: JsonOption = False) -> None:
    """Check a site file with its profiles and board, and show what it asks for. Writes nothing."""
    _report(_compile(site, as_json, write_ids=False), as_json)


def build(
    site: SiteArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="where to write; SITE with .bin if left out")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a site file into what the device loads; new stream ids are kept in SITE.ids.toml."""
    out = out or site.with_suffix(".bin")
    compiled = _compile(site, as_json, write_ids=True)
    try:
        write_whole(out, compiled.data)
    except Problems as error:
        fail(error, as_json, code=1)
    _report(compiled, as_json, {"out": str(out), "bytes": len(compiled.data), "ids": str(ids_path(site))})


def _compile(site: Path, as_json: bool, write_ids: bool) -> Compiled:
    try:
        return compile_site(site, write_ids)
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)


def fail(error: Problems, as_json: bool, code: int) -> NoReturn:
    """Tell what is wrong and end with this exit code."""
    if as_json:
        typer.echo(json.dumps({"ok": False, "problems": [problem.as_dict() for problem in error.problems]}))
    else:
        typer.echo(str(error), err=True)
    raise typer.Exit(code)


def summary(compiled: Compiled) -> dict:
    """What a site asks for, as plain data."""
    body = compiled.body
    return {
        "ok": True,
        "site": body["site"],
        "gateway": body["gateway"],
        "board": body["board"],
        "config": body["config"],
        "devices": len(body["devices"]),
        "points": len(body["points"]),
        "streams": len(body["streams"]),
        "rounds": [
            {
                "period_s": period_s,
                "requests": len(reads),
                "inputs": len(inputs),
                "points": sum(len(read[-1]) for read in reads) + len(inputs),
            }
            for period_s, reads, inputs in body["polls"]
        ],
        "buses": [
            {
                "id": plan.name,
                "requests_per_minute": round(float(plan.requests_per_minute), 1),
                "load_percent": round(float(plan.load * 100), 1),
                "longest_slot_ms": round(plan.all_due_us / 1000),
            }
            for plan in compiled.plans
        ],
        "warnings": [warning.as_dict() for warning in compiled.warnings],
    }


def _report(compiled: Compiled, as_json: bool, written: dict | None = None) -> None:
    facts = summary(compiled) | (written or {})
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for warning in compiled.warnings:
        typer.echo(f"note: {warning}", err=True)
    counts = ", ".join(f"{facts[noun]} {noun}" for noun in ("devices", "points", "streams"))
    typer.echo(f"{facts['site']}/{facts['gateway']} on {facts['board']}: {counts}, config {facts['config']}")
    rows = [("every", "requests", "inputs", "points")]
    rows += [(f"{r['period_s']} s", str(r["requests"]), str(r["inputs"]), str(r["points"])) for r in facts["rounds"]]
    for row in rows:
        typer.echo("  " + "".join(cell.rjust(10) for cell in row))
    for load in facts["buses"]:
        pace = f"{load['requests_per_minute']} requests a minute, busy {load['load_percent']} % of the time"
        typer.echo(f"  bus {load['id']}: {pace}, {load['longest_slot_ms']} ms when all is due at once")
    if written:
        typer.echo(f"wrote {facts['out']}, {facts['bytes']} bytes; stream ids in {facts['ids']}")
