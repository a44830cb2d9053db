"""`satama check` and `satama build`: is the site file right, and what does the device get?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..compiling.compiler import Compiled, compile_site
from ..compiling.ids import ids_path
from ..core.problems import Problem, Problems
from ..core.whole_file import write_whole
from ..trust import certificates
from .shared import WRONG_USE, JsonOption, SiteArgument, fail

_SHOWN = 4  # names in a line


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
        beside = _write(out, compiled)
    except Problems as error:
        fail(error, as_json, code=1)
    written = {"out": str(out), "bytes": len(compiled.data), "ids": str(ids_path(site))}
    _report(compiled, as_json, written | {"certificates": [str(path) for path in beside]})


def _write(out: Path, compiled: Compiled) -> list[Path]:
    """Write the compiled site, and the certificates beside it; returns the latter. Raises Problems."""
    write_whole(out, compiled.data, secret=True)
    folder = out.with_suffix(".certs")
    files = {folder / Path(path).name: content for path, content in compiled.certificates.items()}
    try:
        for old in {*folder.glob("*.der")} - {*files}:
            old.unlink()  # of a CA that was taken out, or a key that is not used any more
        if files:
            folder.mkdir(exist_ok=True)
    except OSError as error:
        hint = "is the folder writable, and is there space?"
        raise Problems([Problem(folder, None, "", f"the files cannot be changed: {error.strerror}", hint)]) from None
    for path, content in files.items():
        write_whole(path, content, secret=True)
    return list(files)


def _compile(site: Path, as_json: bool, write_ids: bool) -> Compiled:
    try:
        return compile_site(site, write_ids)
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)


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
        "retired": [row.name for row in compiled.retired],
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
        "broker": broker(compiled),
        "warnings": [warning.as_dict() for warning in compiled.warnings],
    }


def broker(compiled: Compiled) -> dict:
    """How the gateway will know its broker, as plain data. No secrets."""
    mqtt, now = compiled.body["mqtt"], certificates.today()
    held = compiled.credentials
    named = [("ca", one) for one in held.ca] + ([("client", held.client)] if held.client else [])
    return {
        "addresses": [f"{host}:{port}" for host, port in mqtt["hosts"]],
        "tls": bool(mqtt["tls"]),
        "user": bool(mqtt["user"]),
        "certificates": [
            {"role": role, "file": one.place, "name": one.name, "ends": f"{one.ends:%Y-%m-%d}", "days": one.days(now)}
            for role, one in named
        ],
    }


def retired_line(names: list[str]) -> str:
    """The streams that are gone, in a line."""
    shown = ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
    streams = "1 stream is" if len(names) == 1 else f"{len(names)} streams are"
    return f"{streams} gone; a backlog of them keeps name and unit: {shown}"


def _tell_broker(facts: dict) -> None:
    where = ", ".join(facts["addresses"])
    if not facts["tls"]:
        typer.echo(f"  broker {where}: plain TCP, neither encrypted nor verified")
        return
    names = ", ".join(address.rpartition(":")[0] for address in facts["addresses"])
    typer.echo(f"  broker {where}: TLS; its certificate must be valid, for {names}, and signed by one of")
    rows = {role: [one for one in facts["certificates"] if one["role"] == role] for role in ("ca", "client")}
    for one in rows["ca"]:
        typer.echo(f"    {one['name']!r} ({one['file']}), ends in {one['days']} days, on {one['ends']}")
    for one in rows["client"]:
        typer.echo(f"  the gateway shows {one['name']!r} ({one['file']}), ends in {one['days']} days, on {one['ends']}")


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
    if facts["retired"]:
        typer.echo(f"  {retired_line(facts['retired'])}")
    for load in facts["buses"]:
        pace = f"{load['requests_per_minute']} requests a minute, busy {load['load_percent']} % of the time"
        typer.echo(f"  bus {load['id']}: {pace}, {load['longest_slot_ms']} ms when all is due at once")
    _tell_broker(facts["broker"])
    if written:
        typer.echo(f"wrote {facts['out']}, {facts['bytes']} bytes; stream ids in {facts['ids']}")
        if facts["certificates"]:
            count, folder = len(facts["certificates"]), Path(facts["certificates"][0]).parent
            typer.echo(f"wrote {count} certificates and keys for the board into {folder}")
