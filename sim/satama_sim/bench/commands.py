"""`satama bench drain`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..options import JsonOption, SeedOption, VmOption, explained
from . import drain


def register(app: typer.Typer) -> None:
    bench = typer.Typer(help="Measure the gateway against the plain way of doing it.", no_args_is_help=True)
    bench.callback()(_keep_the_name)
    bench.command(name="drain")(_drain)
    app.add_typer(bench, name="bench")


def _keep_the_name() -> None:
    """Measure the gateway against the plain way of doing it."""


def _drain(
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=6, help="how long the broker is gone")] = drain.HOURS,
    round_trip_ms: Annotated[
        int, typer.Option("--round-trip", min=2, max=2000, help="milliseconds to the broker and back")
    ] = drain.ROUND_TRIP_MS,
    seed: SeedOption = 1,
    vm: VmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drain an outage's backlog, then publish the same packets one after the other with stock umqtt.simple."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with (
        explained(),
        Progress(*columns, console=Console(stderr=True), disable=as_json, transient=True) as progress,
    ):
        task = progress.add_task("outage", total=None)
        report = drain.drain(
            hours, round_trip_ms, seed, lambda done, of: progress.update(task, completed=done, total=of), vm=vm
        )
    enough = report["ratio"] >= drain.LEAST_RATIO
    if as_json:
        typer.echo(json.dumps(report))
    else:
        typer.echo(
            "{packets} packets, {payload_bytes} bytes, round trip {round_trip_ms} ms: {gateway_s} s; stock umqtt.simple, one by one: "
            "{sequential_s} s, {ratio} times as long ({sequential_nodelay_s} s if it set TCP_NODELAY)".format(**report)
        )
        typer.echo("meanwhile {live_packets_meanwhile} live packets".format(**report))
        typer.echo("not counted: {not_counted}".format(**report))
        if not enough:
            typer.echo(f"at least {drain.LEAST_RATIO} times was wanted")
    raise typer.Exit(0 if enough else 1)
