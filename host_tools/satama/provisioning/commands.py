"""`satama provision`: all cabinets of a table, one board after the other. `satama labels`: print their labels again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..commands_site import WRONG_USE, JsonOption, fail
from ..problems import Problem, Problems, Wrong
from ..progress import Reporter, reporter
from . import label_files
from .batch import Batch, Outcome
from .bench import AskingBench, Bench, Stopped, WaitingBench
from .cabinets import Table, read_table
from .credentials import load_authority
from .prepare import Order, check_all, compile_cabinet, new_notes
from .records import FLASHED, Records
from .supply import Supply
from .workshop import Failed, Workshop

LabelsOption = Annotated[
    Path | None, typer.Option("--labels", help="a folder for the labels: PNG, PDF, and a sheet of A4")
]
SheetOption = Annotated[str, typer.Option("--sheet", help="rows x columns of a sheet of labels")]
UsedOption = Annotated[int, typer.Option("--used", min=0, help="so many labels of the first sheet are gone already")]
MarginOption = Annotated[float, typer.Option("--margin", min=0, max=50, help="margin of the sheet, mm")]

EventsOption = Annotated[bool, typer.Option("--json", help="for tools: events, one JSON object a line")]


def register(app: typer.Typer) -> None:
    """Add the commands to the `satama` command."""
    app.command()(provision)
    app.command(name="labels")(print_labels)


def provision(
    cabinets: Annotated[Path, typer.Argument(help="the table of cabinets, a CSV", show_default=False)],
    port: Annotated[
        str | None, typer.Option("--port", "-p", help="COM3, /dev/ttyUSB0, socket://.. or rfc2217://..")
    ] = None,
    firmware: Annotated[
        Path | None, typer.Option(help="the stock MicroPython .bin; else the newest that was fetched")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="folder of the record; else the table's name with .records")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on: leave out what the record says is done")] = False,
    again: Annotated[bool, typer.Option("--again", help="flash all of them, whatever the record says")] = False,
    make_credentials: Annotated[
        Path | None, typer.Option(help="folder with ca.pem and ca.key: a certificate for each")
    ] = None,
    make_passwords: Annotated[Path | None, typer.Option(help="folder for a random MQTT password of each")] = None,
    labels: LabelsOption = None,
    sheet: SheetOption = "8x3",
    used: UsedOption = 0,
    margin: MarginOption = 0.0,
    check: Annotated[bool, typer.Option("--check", help="look for mistakes only; writes nothing")] = False,
    erase_journal: Annotated[
        bool, typer.Option("--erase-journal", help="samples left on used boards may be lost")
    ] = False,
    baud: Annotated[int | None, typer.Option(help="speed of the flash; 115200 for long or bad cables")] = None,
    no_test: Annotated[bool, typer.Option("--no-test", help="no self-test after the flash")] = False,
    by: Annotated[str, typer.Option(help="who does it, for the reports")] = "",
    wait: Annotated[float, typer.Option(min=1, help="with --yes: seconds until the next board must be there")] = 300,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="ask nobody: take the board that comes to the port")] = False,
    as_json: EventsOption = False,
) -> None:
    """Flash, test, record and label the cabinets of a table. Ctrl-C and failures lose nothing: --resume goes on."""
    report = reporter(as_json)
    try:
        if resume and again:
            raise Problems([_use("--resume and --again contradict each other", "one of the two")])
        if not (yes or check) and (as_json or not _somebody_there()):
            raise Problems([_use("there is nobody to ask for the next board", "--yes takes the boards as they come")])
        page = label_files.parse_sheet(sheet, used, margin)
        table = read_table(cabinets)
        supply = _supply(make_credentials, make_passwords, yes)
        orders = _checked(table, supply, report)
        if check:
            _tell_check(table, orders, report)
            return
        record = Records(records or cabinets.with_suffix(".records"))
        _tell_notes(record.notes, report)
        _require_choice(record, table, resume or again)
        if resume:
            _require_same_supply(record, supply, orders)
        workshop = make_workshop(firmware, not no_test, by, erase_journal, baud)
        with report, report.step("prepare firmware and application"):
            _preflight(workshop, orders)
        record.require_writable()
        checked, orders = orders, [compile_cabinet(table, supply.supplied(order.cabinet)) for order in orders]
        _tell_notes(new_notes(checked, orders), report)
        told = supply.tell_broker(orders)
    except Problems as error:
        fail(error, as_json, WRONG_USE)
    except Wrong as wrong:
        fail(Problems([_use(wrong.what, wrong.hint)]), as_json, WRONG_USE)
    for path in told:
        report.say(f"for the broker: {path}")
    undone = [order for order in orders if again or not record.is_done(order)]
    _tell_kept(orders, undone, report)
    batch = Batch(
        _bench(port, wait, yes, report), workshop, record, report, record.path.parent,
        lambda row: _label(labels, row, report),
    )  # fmt: skip
    try:
        outcome = batch.run(undone)
        if labels and (rows := label_files.flashed_rows(record, [order.cabinet.gateway for order in orders])):
            report.say(f"labels: {label_files.write_sheet(labels, rows, page)}")
    except Problems as error:  # the record cannot be written any more: not a board further
        fail(error, as_json, code=1)
    _tell(outcome, len(orders), len(orders) - len(undone), record, report)
    raise typer.Exit(0 if outcome.ok else 1)


def print_labels(
    records: Annotated[
        Path, typer.Argument(help="the folder of the record, as of satama provision", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="the folder to write to", show_default=False)],
    sheet: SheetOption = "8x3",
    used: UsedOption = 0,
    margin: MarginOption = 0.0,
    gateway: Annotated[list[str] | None, typer.Option(help="only this one; may be given again")] = None,
    as_json: JsonOption = False,
) -> None:
    """Labels of all boards in a record: PNG and PDF of each, and sheets of A4."""
    try:
        page = label_files.parse_sheet(sheet, used, margin)
        record = Records(records)
        known = list(dict.fromkeys(row["gateway"] for row in record.lines if row["result"] == FLASHED))
        for name in gateway or []:
            if name not in known:
                raise Wrong(f"the record knows no board that became '{name}'", f"known: {', '.join(known) or 'none'}")
        rows = label_files.flashed_rows(record, gateway or known)
        if not rows:
            raise Wrong(f"there is no board in {record.path}", "satama provision writes it")
        written = [path for row in rows for path in label_files.write_label(out, row)]
        written.append(label_files.write_sheet(out, rows, page))
    except Problems as error:
        fail(error, as_json, WRONG_USE)
    except Wrong as wrong:
        fail(Problems([_use(wrong.what, wrong.hint)]), as_json, WRONG_USE)
    if as_json:
        typer.echo(json.dumps({"ok": True, "labels": len(rows), "written": [str(path) for path in written]}))
    else:
        typer.echo(f"{len(rows)} labels in {out}, the sheet is {label_files.SHEET_FILE}")


def make_workshop(firmware: Path | None, test: bool, by: str, erase_journal: bool, baud: int | None) -> Workshop:
    """The one for real boards."""
    from .board_workshop import BoardWorkshop  # brings esptool, which no other command needs

    return BoardWorkshop(firmware, test, by, erase_journal, baud)


def _somebody_there() -> bool:
    return sys.stdin.isatty()


def _use(what: str, hint: str) -> Problem:
    return Problem("satama provision", None, "", what, hint)


def _supply(authority: Path | None, passwords: Path | None, yes: bool) -> Supply:
    """Raises Wrong."""
    if authority and passwords:
        raise Wrong(
            "--make-credentials and --make-passwords are both given", "one of the two: how the broker knows gateways"
        )
    if not authority:
        return Supply(passwords=passwords)
    on_terminal = _somebody_there() and not yes
    ask = (lambda: typer.prompt("password of the CA's key", hide_input=True, err=True)) if on_terminal else None
    return Supply(load_authority(authority, ask))


def _checked(table: Table, supply: Supply, report: Reporter) -> list[Order]:
    """Raises Problems."""
    with report, report.step("check the table", len(table.cabinets)) as step:
        orders, notes = check_all(table, step.to)
    if problems := list(supply.check(table, orders)):
        raise Problems(problems)
    if supply.authority or supply.passwords:  # then each is about to get its own
        notes = [note for note in notes if note.key not in ("mqtt.password", "mqtt.client_key")]
    _tell_notes([*table.notes, *notes], report)
    if table.unknown:
        report.say(f"note: kept in the record, not used otherwise: columns {', '.join(table.unknown)}")
    return orders


def _tell_notes(notes: list[Problem], report: Reporter) -> None:
    for note in notes:
        report.say(f"note: {note}")
        report.event("note", **note.as_dict())


def _tell_check(table: Table, orders: list[Order], report: Reporter) -> None:
    sites = {order.cabinet.site for order in orders}
    report.say(f"{table.path}: {len(orders)} cabinets of {len(sites)} site files, no mistakes")
    report.event("result", ok=True, cabinets=len(orders), unknown=table.unknown)


def _require_choice(record: Records, table: Table, chosen: bool) -> None:
    """A second run must say what it means. Raises Problems."""
    rows = [row for cabinet in table.cabinets if (row := record.latest(cabinet.gateway))]
    done = sum(row["result"] == FLASHED for row in rows)
    if done and not chosen:
        what = f"{done} of the {len(table.cabinets)} cabinets are flashed already, says {record.path}"
        raise Problems([_use(what, "--resume goes on with the others, --again flashes all of them")])


def _require_same_supply(record: Records, supply: Supply, orders: list[Order]) -> None:
    """A board that has credentials must not lose them because an option was forgotten. Raises Problems."""
    bare = [o.cabinet.gateway for o in orders if record.had_credentials(o.cabinet.gateway) and not supply.gives(o)]
    if bare:
        what = f"{', '.join(bare)}: flashed with credentials before, and now there would be none"
        raise Problems([_use(what, "the same --make-.. option as then; --again where they are to lose them")])


def _preflight(workshop: Workshop, orders: list[Order]) -> None:
    """What can be refused before a board is there, is. Raises Problems."""
    problems = {}
    for order in {order.compiled.board.name: order for order in orders}.values():
        try:
            workshop.prepare(order)
        except Failed as failed:
            problems[str(failed)] = Problem("satama provision", None, "", str(failed))
    if problems:
        raise Problems(problems.values())


def _bench(port: str | None, wait_s: float, yes: bool, report: Reporter) -> Bench:
    if yes:
        return WaitingBench(port, wait_s, report.say)
    return AskingBench(port, _ask)


def _ask(text: str) -> str:
    """Raises Stopped at Ctrl-C, and where nobody answers any more."""
    try:
        return typer.prompt(text, default="", show_default=False, prompt_suffix="", err=True)
    except typer.Abort:
        raise Stopped from None


def _label(folder: Path | None, row: dict[str, Any], report: Reporter) -> None:
    """A label that cannot be written is no reason to stop: the sheet and `satama labels` come later."""
    if folder is None:
        return
    try:
        label_files.write_label(folder, row)
    except Problems as error:
        report.say(f"note: no label for {row['gateway']}: {error}")


def _tell_kept(orders: list[Order], undone: list[Order], report: Reporter) -> None:
    kept = [order.cabinet.gateway for order in orders if order not in undone]
    if kept:
        report.say(f"done before, with the same files: {', '.join(kept)}")
        report.event("kept", gateways=kept)


def _tell(outcome: Outcome, wanted: int, kept: int, record: Records, report: Reporter) -> None:
    for name, checks in outcome.red.items():
        report.say(
            f"{name}: flashed, but red: {', '.join(checks) or 'see its report'} -> satama selftest in its cabinet"
        )
    for name, text in outcome.failed.items():
        report.say(f"{name}: failed: {text}")
    if outcome.interrupted and outcome.left:
        report.say(
            f"interrupted: the board of {outcome.left[0]} may be half written; it can be flashed again at any time"
        )
    elif outcome.ended:
        report.say(outcome.ended)
    missing = [*outcome.failed, *outcome.skipped, *outcome.left]
    if missing:
        report.say(f"still to do: {', '.join(missing)} -> the same command with --resume")
    report.say(f"{len(outcome.flashed) + kept} of {wanted} cabinets are flashed; the record is {record.path}")
    report.event(
        "result", ok=outcome.ok, flashed=outcome.flashed, kept=kept, red=outcome.red, failed=outcome.failed,
        skipped=outcome.skipped, left=outcome.left, ended=outcome.ended, record=str(record.path),
    )  # fmt: skip
