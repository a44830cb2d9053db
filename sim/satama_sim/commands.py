"""`satama sim run` and `satama demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from satama.core import places

from .cabinet import Cabinet, microseconds
from .desk.commands import board
from .network.far_end import MQTTS, require_reachable
from .options import BrokerOption, JsonOption, SeedOption, VmOption, explained
from .vm import umqtt

DEMO_SITE = places.SITES / "demo.toml"


def register(app: typer.Typer) -> None:
    """Add the commands to the `satama` command."""
    sim = typer.Typer(help="Simulate cabinets on the real MicroPython VM.", no_args_is_help=True)
    sim.command()(run)
    sim.command()(board)
    app.add_typer(sim, name="sim")
    app.command()(demo)
    app.command(name="fetch-umqtt")(fetch_umqtt)
    from .bench import commands as bench  # they take their options from here
    from .storm import commands as storm

    storm.register(app)
    bench.register(app)


def run(
    site: Annotated[Path, typer.Argument(help="the site file", show_default=False)],
    duration: Annotated[str, typer.Option("--for", help="simulated time: 90s, 10m, 24h, 7d")] = "1h",
    clock: Annotated[str, typer.Option("--clock", help="virtual (as fast as it goes) or real")] = "virtual",
    seed: SeedOption = 1,
    vm: VmOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a cabinet live and say what became of every sample."""
    with explained():
        if clock not in ("virtual", "real"):
            raise ValueError(f"--clock {clock} is unknown -> virtual or real")
        length_us = microseconds(duration)
        if broker:
            require_reachable(broker.removeprefix(MQTTS))
        with Cabinet(site, seed=seed, vm=vm, clock=clock, broker=broker, keep=False) as cabinet:
            _progress(cabinet, length_us, quiet=as_json)
            report = cabinet.report()
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _tell(report)
    lost = report["produced"] != sum(report[key] for key in ("acknowledged", "queued", "dropped", "quarantined"))
    if lost:
        typer.echo("the ledger does not balance: samples are unaccounted for -> report this with the seed", err=True)
    raise typer.Exit(1 if lost else 0)


def _progress(cabinet: Cabinet, length_us: int, quiet: bool) -> None:
    """Run in slices, so that there is something to see."""
    until = cabinet.timeline.now_us + length_us
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("simulating", total=length_us)
        slice_us = max(length_us // 200, 1_000_000)
        while cabinet.timeline.now_us < until:
            before = cabinet.timeline.now_us
            cabinet.run_to_us(min(until, before + slice_us))
            progress.advance(task, cabinet.timeline.now_us - before)


def _tell(report: dict) -> None:
    typer.echo(
        f"{report['vm']}, {report['clock']} clock: {report['virtual_s']:.0f} s, {report['virtual_per_real']:.0f} times real time"
    )
    typer.echo(
        "produced {produced} = acknowledged {acknowledged} + queued {queued} + dropped {dropped} + quarantined {quarantined}".format(
            **report
        )
    )
    typer.echo(
        "at the broker: {decoded_at_broker} samples of {streams} streams in {payload_bytes} bytes, {duplicates} duplicates".format(
            **report
        )
    )
    if report["streams_missing"]:
        typer.echo(f"not seen yet: {', '.join(report['streams_missing'])}")
    for bus in report["buses"]:
        load = bus["busy_us"] / (report["virtual_s"] * 1e6)
        typer.echo(f"bus {bus['name']}: busy {load:.0%} of the time")
    typer.echo(
        "modbus: {modbus_requests} requests, {modbus_errors} errors; {missed_slots} slots missed".format(**report)
    )
    typer.echo(f"payload sha256 {report['payload_sha256']}")


def demo(
    duration: Annotated[str | None, typer.Option("--for", help="end after so long: 20s, 5m (default: Ctrl-C)")] = None,
    site: Annotated[Path, typer.Option("--site", help="the site file")] = DEMO_SITE,
    broker: BrokerOption = None,
    port: Annotated[int, typer.Option("--port", help="where the demo's own broker listens (0: any free port)")] = 0,
    bus: Annotated[list[str] | None, typer.Option("--bus", help="poll real hardware: rs485=/dev/ttyUSB0")] = None,
    seed: SeedOption = 1,
    vm: VmOption = None,
    as_json: JsonOption = False,
) -> None:
    """A cabinet alive in real time, and a screen of what arrives at the broker."""
    from .demo.demo import Demo

    with explained():
        length_us = microseconds(duration) if duration else None
        if broker and broker.startswith(MQTTS):
            raise ValueError(
                f"--broker {broker}: the demo's screen listens without TLS -> host:port, or satama sim run"
            )
        show = Demo(site, broker=broker, port=port, buses=_pairs(bus or []), seed=seed, vm=vm)
        report = show.run(length_us, screen=not as_json)
    typer.echo(json.dumps(report) if as_json else "")
    if not as_json:
        _tell(report)


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not (name and equals and path):
            raise ValueError(
                f"--bus {option} -> name of the bus in the site file, =, and a serial port: rs485=/dev/ttyUSB0"
            )
        pairs[name] = path
    return pairs


def fetch_umqtt() -> None:
    """Fetch umqtt.simple for the simulator, verified (done by itself at first use)."""
    with explained():
        place = umqtt.ensure()
    typer.echo(f"umqtt.simple {umqtt.VERSION} is in {place}")
