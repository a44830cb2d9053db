"""`satama plan`: what the gateway asks of its buses and its flash, and whether both can bear it."""

import json
from collections.abc import Iterator
from typing import Any

import typer

from ..compiling.compiler import Compiled, plan_site
from ..core.problems import Problems
from ..planning.bus_plan import BusPlan, Request, Round
from ..planning.pulse_bounds import PulseBounds, pulse_bounds
from .shared import WRONG_USE, JsonOption, SiteArgument, fail
from .site import retired_line

TOO_MUCH = 1


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command()(plan)


def plan(site: SiteArgument, as_json: JsonOption = False) -> None:
    """Show every request of every round with its time, and the load of the buses. Ends with 1 if it cannot be done in time."""
    try:
        compiled = plan_site(site)
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)
    if as_json:
        typer.echo(json.dumps(as_data(compiled)))
    else:
        for line in as_text(compiled):
            typer.echo(line)
        for warning in compiled.warnings:
            typer.echo(f"note: {warning}", err=True)
        for problem in compiled.refused:
            typer.echo(str(problem), err=True)
    raise typer.Exit(TOO_MUCH if compiled.refused else 0)


def _pulses(compiled: Compiled) -> PulseBounds:
    return pulse_bounds(compiled.board, compiled.body, compiled.profiles)


# --- for tools


def as_data(compiled: Compiled) -> dict[str, Any]:
    """The plan as plain data; times in whole microseconds."""
    return {
        "feasible": not compiled.refused,
        "site": compiled.body["site"],
        "gateway": compiled.body["gateway"],
        "board": compiled.body["board"],
        "buses": [_bus(plan) for plan in compiled.plans],
        "problems": [problem.as_dict() for problem in compiled.refused],
        "warnings": [problem.as_dict() for problem in compiled.warnings],
        "pulses": _pulses(compiled).as_data(),
        "flash": compiled.flash.as_data(),
        "retired": [row.name for row in compiled.retired],
    }


def _bus(plan: BusPlan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "kind": plan.kind,
        "baud": plan.baud,
        "load": round(float(plan.load), 6),
        "common_period_s": plan.common_s,
        "cycle_us": plan.cycle_us,
        "wire_limit_us": plan.wire_limit_us,
        "rounds": [
            {"period_s": r.period_s, "time_us": r.time_us, "requests": [_request(request) for request in r.requests]}
            for r in plan.rounds
        ],
    }


def _request(request: Request) -> dict[str, Any]:
    return {
        "device": request.device,
        "unit": request.unit,
        "function": request.function,
        "address": request.address,
        "count": request.count,
        "bytes": request.bytes,
        "time_us": request.time_us,
        "wire_limit_us": request.limit_us,
    }


# --- for people


def as_text(compiled: Compiled) -> Iterator[str]:
    """The same, line by line."""
    body = compiled.body
    yield f"{body['site']}/{body['gateway']} on {body['board']}"
    for plan in compiled.plans:
        yield ""
        yield from _bus_lines(plan)
    if not compiled.plans:
        yield "no Modbus bus: nothing is asked for"
    pulses = _pulses(compiled).as_lines()
    if pulses:
        yield ""
        yield "pulse inputs"
        yield from ("  " + line for line in pulses)
    yield ""
    yield from compiled.flash.as_lines()
    if compiled.retired:
        yield ""
        yield retired_line([row.name for row in compiled.retired])


def _bus_lines(plan: BusPlan) -> Iterator[str]:
    yield f"bus {plan.name}: {plan.kind}" + (f", {plan.baud} Bd" if plan.baud else "")
    if not plan.rounds:
        yield "  nothing is asked for on it"
        return
    names = [request.device for r in plan.rounds for request in r.requests]
    asked = [str(request) for r in plan.rounds for request in r.requests]
    widths = max(map(len, names)), max(map(len, asked))
    for r in plan.rounds:
        yield from _round_lines(r, *widths)
    limit = f"{plan.wire_limit_us / 1000:.1f} ms of them are bytes, turnaround and silence"
    yield (
        f"  load {float(plan.load):.1%}: in {plan.common_s} s the requests take {plan.cycle_us / 1000:.1f} ms, {limit} "
        f"({plan.wire_limit_us / plan.cycle_us:.1%})"
    )


def _round_lines(r: Round, name_width: int, asked_width: int) -> Iterator[str]:
    noun = "request" if len(r.requests) == 1 else "requests"
    yield f"  every {r.period_s} s: {len(r.requests)} {noun}, {r.time_us / 1000:.1f} ms"
    for request in r.requests:
        who = f"{request.device:<{name_width}}  unit {request.unit:>3}  {request!s:<{asked_width}}"
        yield f"    {who}  {request.bytes:>4} bytes  {request.time_us / 1000:>8.1f} ms"
