"""`satama sim board`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..cabinet import microseconds
from ..options import BrokerOption, JsonOption, SeedOption, VmOption, explained
from .desk import Desk

_STEP_S = 0.2


def board(
    site: Annotated[
        Path | None, typer.Argument(help="the cabinet around the board: devices, network, broker", show_default=False)
    ] = None,
    board: Annotated[str | None, typer.Option("--board", help="only this board, with nothing around it")] = None,
    port: Annotated[str, typer.Option("--port", help="what to reach it by: pty, socket, rfc2217")] = "pty",
    flash: Annotated[
        Path | None, typer.Option("--flash", help="a file that keeps its flash over runs (default: a blank one)")
    ] = None,
    duration: Annotated[str | None, typer.Option("--for", help="end after so long: 20s, 5m (default: Ctrl-C)")] = None,
    broker: BrokerOption = None,
    seed: SeedOption = 1,
    vm: VmOption = None,
    as_json: JsonOption = False,
) -> None:
    """A board on the desk, to be flashed: its port answers esptool, mpremote and satama flash, and it boots what they wrote."""
    with explained():
        length_us = microseconds(duration) if duration else None
        desk = Desk(site, board=board, port=port, flash=flash or b"", broker=broker, seed=seed, vm=vm)
        try:
            _present(desk, site, as_json)
            _live(desk, length_us, as_json)
        finally:
            desk.close()


def _present(desk: Desk, site: Path | None, as_json: bool) -> None:
    found = "boots" if desk.chip.boot.application else "blank" if _is_blank(desk) else "does not boot"
    if as_json:
        mac = desk.chip.mac.hex(":")
        _say(
            {
                "event": "ready",
                "url": desk.url,
                "board": desk.spec.name,
                "chip": desk.spec.chip,
                "mac": mac,
                "flash": found,
            }
        )
        return
    typer.echo(f"{desk.spec.title}, {desk.spec.flash_bytes >> 20} MiB of flash: {found}")
    typer.echo(f"  port   {desk.url}")
    typer.echo(f"  flash  satama flash --port {desk.url} --board {desk.spec.name} --site {site or 'SITE.toml'}")
    typer.echo(f"  prompt mpremote connect {desk.url} ls")
    cabinet = desk.cabinet
    if cabinet and cabinet.tls_end and cabinet.simulated_broker:
        typer.echo(
            "  the simulated broker has a certificate of its own, which this site does not trust -> "
            "--broker mqtts://HOST:PORT, or a site with insecure = true"
        )
    typer.echo("Ctrl-C takes it off the desk")


def _is_blank(desk: Desk) -> bool:
    content = desk.powered.board.flash.data
    return content[:] == b"\xff" * len(content)


def _live(desk: Desk, length_us: int | None, as_json: bool) -> None:
    """Until Ctrl-C, or so long; every start and the first sample at the broker are told."""
    clock = desk.powered.clock
    end_us = None if length_us is None else clock.now_us() + length_us
    told, arrived = 0, False
    try:
        while end_us is None or clock.now_us() < end_us:
            desk.run(_STEP_S)
            resets = desk.powered.board.resets
            for at_us, why in resets[told:]:
                _tell({"event": "start", "at_s": at_us // 1_000_000, "why": why}, as_json)
            told = len(resets)
            if desk.cabinet and desk.cabinet.broker.decoded and not arrived:
                arrived = True
                _tell({"event": "first sample", "at_s": clock.now_us() // 1_000_000}, as_json)
    except KeyboardInterrupt:
        return


def _tell(event: dict[str, object], as_json: bool) -> None:
    if as_json:
        _say(event)
    elif event["event"] == "start":
        typer.echo(f"{event['at_s']:>6} s  MicroPython starts: {event['why']}")
    else:
        typer.echo(f"{event['at_s']:>6} s  the first sample is at the broker")


def _say(event: dict[str, object]) -> None:
    typer.echo(json.dumps(event))
