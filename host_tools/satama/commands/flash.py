"""`satama flash`, `satama fetch`, `satama ports`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..boards.board import Board, load_board
from ..commissioning.after_flash import Commissioned, commission, unanswered
from ..commissioning.report import as_dict
from ..compiling.compiler import Compiled
from ..core.problems import Problems
from ..core.progress import Reporter, reporter
from ..flashing.by_mpflash import fetch_by_mpflash
from ..flashing.errors import AGAIN, WRONG_USE, FlashError
from ..flashing.firmware_cache import Cached, FirmwareCache
from ..serial_line.gateway import LineError
from ..serial_line.ports import PortError, find_ports
from .selftest import checked_targets, compiled_site, show, show_reports, write_reports
from .shared import FOUND_PROBLEM, JsonOption
from .telling import stop

if TYPE_CHECKING:
    from ..flashing.flash import Flashed


BoardOption = Annotated[str | None, typer.Option("--board", "-b", help="the board; left out: the one of the site file")]


def register(app: typer.Typer) -> None:
    """Add the commands to the `satama` command."""
    app.command(name="flash")(flash_board)
    app.command()(fetch)
    app.command()(ports)


def flash_board(
    port: Annotated[
        str, typer.Option("--port", "-p", help="COM3, /dev/ttyUSB0, socket://host:port, rfc2217://host:port")
    ],
    site: Annotated[Path, typer.Option("--site", "-s", help="the site file")],
    board: BoardOption = None,
    firmware: Annotated[
        Path | None,
        typer.Option(
            "--firmware", "-f", help="a stock MicroPython .bin; left out: the newest that `satama fetch` stored"
        ),
    ] = None,
    baud: Annotated[
        int | None,
        typer.Option(
            min=9600, max=2_000_000, help="speed while writing, 460800 if left out; 115200 for long or bad cables"
        ),
    ] = None,
    erase_journal: Annotated[
        bool,
        typer.Option("--erase-journal", help="lose what was not delivered: for a board that moves to another cabinet"),
    ] = False,
    report_to: Annotated[
        list[Path] | None,
        typer.Option(
            "--report", "-r", help="write the commissioning report: FILE.html or FILE.json; may be given twice"
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="who has done the work, for the report")] = "",
    no_test: Annotated[bool, typer.Option("--no-test", help="do not wait for the gateway and its self-test")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show what esptool says")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for tools: events, one JSON object a line")] = False,
) -> None:
    """Write boot loader, MicroPython, partition table and the gateway with its site onto a board, and see that it works.

    What is on the board already is not written again. Stopped with Ctrl-C it ends with 1: run the same command again.
    Ends with 1, too, when the board is written and its self-test finds something red.
    """
    from ..flashing.flash import flash  # brings esptool, which no other command needs

    if erase_journal and not yes and sys.stdin.isatty():
        typer.confirm(
            "--erase-journal: samples on the board that were not delivered are lost. Go on?", abort=True, err=True
        )
    if report_to and no_test:
        stop("--report needs the self-test -> leave --no-test out", "use", as_json, WRONG_USE)
    targets = checked_targets(report_to or [], as_json)
    compiled = compiled_site(site, as_json)
    flashed: Flashed | None = None
    again = f"satama selftest --port {port} --site {site}"
    try:
        chosen = compiled.board if board is None else _load(board, as_json)
        path = firmware or _stored(chosen)
        with reporter(as_json) as report:
            tell = report.say if verbose else None
            flashed = flash(
                port, chosen, compiled, path, report,
                erase_journal=erase_journal, baud=baud, tell=tell, gateway_runs=True,
            )  # fmt: skip
            if not as_json:
                for line in _summary(flashed, port):
                    report.say(line)
            if no_test:
                report.event("result", ok=True, passed=None, checks=[], **flashed.tellable())
                return
            tested, silence = _tested(port, compiled, flashed, report, again)
            told = as_dict(tested, port=port, by=by, site=compiled.body["site"], flashed=flashed.tellable())
            unwritten = write_reports(targets, told)
            ok = tested.passed and not unwritten
            about = tested.as_dict() | flashed.tellable() | unwritten | silence
            report.event("result", ok=ok, **about)
    except FlashError as error:
        _stop(error, as_json)
    except KeyboardInterrupt:
        so_far = f"the board is written; see how it is with: {again}" if flashed else "nothing was changed"
        _stop(FlashError(f"stopped -> {so_far}", "interrupted"), as_json)
    if not as_json:
        if silence:
            typer.echo(silence["error"], err=True)
        else:
            show(tested)
        show_reports(targets, unwritten)
    if not ok:
        raise typer.Exit(FOUND_PROBLEM)


def _tested(
    port: str, compiled: Compiled, flashed: Flashed, report: Reporter, again: str
) -> tuple[Commissioned, dict[str, str]]:
    """The self-test, and {}; where nothing came of it, what the report says then, and "kind" and "error" of the result."""
    try:
        return commission(port, report, compiled=compiled), {}
    except (LineError, PortError) as error:
        kind = error.kind if isinstance(error, LineError) else "port"
        why = f"the board is written, but {error}"
    except KeyboardInterrupt:
        kind, why = "interrupted", f"stopped -> the board is written; see how it is with: {again}"
    return unanswered(compiled, flashed.mac, why), {"kind": kind, "error": why}


def fetch(
    file: Annotated[
        Path | None, typer.Argument(help="a stock MicroPython .bin from a disk", show_default=False)
    ] = None,
    board: Annotated[
        str | None, typer.Option("--board", "-b", help="download what this board needs, by mpflash")
    ] = None,
    version: Annotated[str, typer.Option(help="with --board: which release, e.g. 1.26.1")] = "stable",
    show: Annotated[bool, typer.Option("--list", "-l", help="what is stored on this machine")] = False,
    as_json: JsonOption = False,
) -> None:
    """Store MicroPython firmware on this machine, so that `satama flash` needs no network."""
    try:
        cache = FirmwareCache()
        if [file is not None, board is not None, show].count(True) != 1:
            what = "one of three: satama fetch FILE, satama fetch --board NAME, satama fetch --list"
            raise FlashError(f"{what} -> see satama fetch --help", "use", WRONG_USE)
        if show:
            _list(cache, as_json)
            return
        if board is not None:
            entry = fetch_by_mpflash(_load(board, as_json), version, cache)
        else:
            assert file is not None
            entry = cache.add(file, str(file.resolve()))
    except FlashError as error:
        _stop(error, as_json)
    if as_json:
        typer.echo(json.dumps({"ok": True, "path": str(cache.path(entry)), **asdict(entry)}))
        return
    typer.echo(f"stored {entry.name}: {_about(entry)}")


def ports(as_json: JsonOption = False) -> None:
    """List the serial ports of this machine, those on USB first. Ends with 1 when there is none on USB."""
    found = find_ports()
    if as_json:
        typer.echo(json.dumps({"ok": any(port.likely for port in found), "ports": [asdict(port) for port in found]}))
    for port in [] if as_json else found:
        typer.echo("  ".join(filter(None, (f"{port.name:14}", port.usb, port.what, port.serial_number))).rstrip())
    if not any(port.likely for port in found):
        if not as_json:
            hint = "plug the board in; if it stays so: another cable (many only charge), or install the bridge's driver"
            typer.echo(f"no serial port on USB -> {hint}", err=True)
        raise typer.Exit(FOUND_PROBLEM)


def _load(name: str, as_json: bool) -> Board:
    try:
        return load_board(name)
    except Problems as error:
        stop(str(error), "board", as_json, WRONG_USE)


def _stored(board: Board) -> Path:
    cache = FirmwareCache()
    return cache.path(cache.newest_for(board))


def _list(cache: FirmwareCache, as_json: bool) -> None:
    rows = cache.entries()
    if as_json:
        typer.echo(json.dumps({"ok": not any(row.damaged for row in rows), "files": [asdict(row) for row in rows]}))
    elif not rows:
        typer.echo("nothing is stored -> satama fetch FILE")
    for row in [] if as_json else rows:
        typer.echo(f"{row.name}: {_about(row)}, from {row.origin}")
    damaged = [row for row in rows if row.damaged]
    if damaged:
        if not as_json:
            names = ", ".join(row.name for row in damaged)
            typer.echo(f"damaged, and not used any more: {names} -> fetch again: satama fetch FILE", err=True)
        raise typer.Exit(FOUND_PROBLEM)


def _about(row: Cached) -> str:
    damaged = ", DAMAGED" if row.damaged else ""
    return (
        f"MicroPython {row.version} for {row.chip}, {row.bytes} bytes, sha256 {row.sha256[:16]}, {row.fetched}{damaged}"
    )


def _summary(done: Flashed, port: str) -> list[str]:
    """Lines for people about what was done."""
    written = [row.name for row in done.regions if not row.kept]
    kept = [row.name for row in done.regions if row.kept]
    lines = list(done.remarks)
    if written:
        unchanged = f" ({', '.join(kept)} unchanged)" if kept else ""
        lines.append(f"wrote {', '.join(written)}{unchanged} in {done.seconds:.0f} s, verified")
    else:
        lines.append("all of it is on the board already, verified; nothing was written")
    journal = "journal kept" if done.journal_kept else "journal empty"
    lines.append(f"{done.site}/{done.gateway} on {done.board}, MicroPython {done.firmware}, MAC {done.mac}, {journal}")
    if not done.restarted:
        lines.append(f"{port} has no line to restart the board -> press its RESET button")
    return lines


def _stop(error: FlashError, as_json: bool) -> NoReturn:
    sentence = str(error)
    if error.changed and AGAIN not in sentence and not as_json:
        sentence += f"\nthe board was being written -> {AGAIN}"
    stop(sentence, error.kind, as_json, error.code, changed=error.changed)
