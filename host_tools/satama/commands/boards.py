"""`satama boards`: which boards there are, and how one of them is wired."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..boards.board import Board, board_path, is_path, list_boards, load_board
from ..boards.chips import CHIPS
from ..boards.wiring import direction, reset_manner, wiring
from ..core.problems import Problem, Problems, closest
from ..planning.pulse_bounds import counters
from .shared import FOUND_PROBLEM, WRONG_USE, JsonOption, fail
from .telling import bullets, table

_KIB = 1024

boards = typer.Typer(help="Boards: list them, show how one is wired.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the `satama` command."""
    app.add_typer(boards, name="boards")


@boards.callback()
def list_all(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the boards that Satama knows."""
    if context.invoked_subcommand is not None:
        if as_json:
            typer.echo("--json before show says nothing -> write --json behind it", err=True)
            raise typer.Exit(WRONG_USE)
        return
    try:
        known = [load_board(name) for name in list_boards()]
    except Problems as error:
        fail(error, as_json, FOUND_PROBLEM)
    if as_json:
        typer.echo(json.dumps({"ok": True, "boards": [_head(board) for board in known]}))
        return
    rows = [
        (
            board.name,
            CHIPS[board.chip].title,
            _memory(board),
            _rs485(board),
            _ethernet(board),
            _count(board, "relays"),
            _inputs(board),
        )
        for board in known
    ]
    table(("name", "chip", "flash", "RS-485", "Ethernet", "relays", "inputs"), rows, wraps=("RS-485", "inputs"))
    typer.echo(f"{len(known)} boards; satama boards show NAME tells the wiring; * behind an expander, not driven yet")


@boards.command()
def show(
    name: Annotated[str, typer.Argument(help="a name from the list, or a board file of your own", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Show the wiring of one board: terminals, GPIOs, partitions, firmware, how it is reset, sources."""
    if not is_path(name) and name not in list_boards():
        what = f"there is no board named '{name}'"
        fail(Problems([Problem(name, None, "", what, closest(name, list_boards(), "boards"))]), as_json, WRONG_USE)
    try:
        board = load_board(name, Path())
    except Problems as error:
        missing = is_path(name) and not board_path(name).is_file()
        fail(error, as_json, WRONG_USE if missing else FOUND_PROBLEM)
    if as_json:
        typer.echo(json.dumps({"ok": True, **_whole(board)}))
        return
    typer.echo(f"{board.name}: {board.title}")
    for fact in _facts(board):
        typer.echo(f"  {fact}")
    table(("terminal", "GPIO", "function", "remark"), [tuple(row) for row in wiring(board)], wraps=("GPIO", "remark"))
    table(
        ("partition", "offset", "size"),
        [
            (name, f"{part.offset:#x}", f"{part.size // _KIB} KiB")
            for name, part in sorted(board.partitions.items(), key=lambda item: item[1].offset)
        ],
        wraps=(),
    )
    bullets("Good to know:", [*board.quirks, *board.lacks])
    bullets("Not verified, check on the board:", board.unverified)
    bullets("Sources:", board.sources)


# --- what is told


def _facts(board: Board) -> list[str]:
    chip = CHIPS[board.chip].title
    facts = [f"{chip}" + (f" in a module {board.module}" if board.module else "") + f", {_memory(board)}"]
    also = f" (or {', '.join(board.firmware_also)})" if board.firmware_also else ""
    facts.append(f"firmware: stock MicroPython {board.firmware_name}{also}, 1.24 or newer")
    facts.append(f"console and flashing: {reset_manner(board)}")
    units = counters(board)
    facts.append(f"pulses: {units} counters in the chip" if units else "pulses: by interrupt, the chip has no counters")
    if board.relays:
        facts.append("relays and outputs: listed for their wiring, this version of the gateway switches none of them")
    return facts


def _memory(board: Board) -> str:
    psram = f", {board.psram_bytes >> 20} MiB PSRAM" if board.psram_bytes else ""
    return f"{board.flash_bytes >> 20} MiB{psram}"


def _rs485(board: Board) -> str:
    ports = [port for port in board.ports.values() if port.kind == "rs485"]
    return ", ".join(port.transceiver or "one's own transceiver" for port in ports)


def _ethernet(board: Board) -> str:
    if board.lan is None:
        return ""
    return board.lan.phy if board.lan.fitted else f"{board.lan.phy} (one's own)"


def _count(board: Board, kind: str) -> str:
    lines = list(getattr(board, kind).values())
    if not lines:
        return ""
    return f"{len(lines)}{'*' if lines[0].kind == 'expander' else ''}"


def _inputs(board: Board) -> str:
    parts = [f"{len(board.adc)} analogue"] if board.adc else []
    parts += [f"{len(board.pulse)} pulse"] if board.pulse else []
    parts += [f"{_count(board, 'inputs')} digital"] if board.inputs else []
    return ", ".join(parts)


def _head(board: Board) -> dict[str, Any]:
    return {
        "name": board.name,
        "title": board.title,
        "chip": board.chip,
        "module": board.module,
        "flash_bytes": board.flash_bytes,
        "psram_bytes": board.psram_bytes,
        "firmware": board.firmware_names,
        "rs485": {
            name: {"transceiver": port.transceiver, "direction": direction(port), "terminals": port.terminals}
            for name, port in board.ports.items()
            if port.kind == "rs485"
        },
        "ethernet": board.lan.phy if board.lan else None,
        "ethernet_on_board": bool(board.lan and board.lan.fitted),
        "relays": len(board.relays),
        "driven_relays": sum(line.kind == "gpio" for line in board.relays.values()),
        "analog_inputs": len(board.adc),
        "pulse_inputs": len(board.pulse),
        "counters": counters(board),
        "reset": board.console.reset,
    }


def _whole(board: Board) -> dict[str, Any]:
    """The board file as plain data, and what is made of it: the rows of the table, what the chip lacks."""
    return board.model_dump() | {
        "firmware": board.firmware_name,
        "lacks": list(board.lacks),
        "counters": counters(board),
        "wiring": [row._asdict() for row in wiring(board)],
    }
