"""`satama provision`: all cabinets of a table, one board after the other. `satama labels`: print their labels again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.problems import Problem, Problems, Wrong
from ..core.progress import Reporter, reporter
from ..provisioning import label_files
from ..provisioning.batch import Batch
from ..provisioning.bench import AskingBench, Bench, Stopped, WaitingBench
from ..provisioning.cabinets import Table, read_table
from ..provisioning.credentials import load_authority
from ..provisioning.labels import Sheet
from ..provisioning.one_run import one_run
from ..provisioning.prepare import Order, check_all, compile_cabinet, new_notes
from ..provisioning.records import Records
from ..provisioning.supply import Supply
from ..provisioning.told import some, tell_check, tell_kept, tell_notes, tell_outcome, tell_refusal
from ..provisioning.workshop import Failed, Workshop
from .shared import WRONG_USE, JsonOption, fail

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
    report, batch = reporter(as_json), None
    try:
        if resume and again:
            raise Wrong("--resume and --again contradict each other", "one of the two")
        if not (yes or check) and (as_json or not _somebody_there()):
            raise Wrong("there is nobody to ask for the next board", "--yes takes the boards as they come")
        page = label_files.parse_sheet(sheet, used, margin)
        table = read_table(cabinets)
        supply = _supply(make_credentials, make_passwords, yes)
        orders = _checked(table, supply, report)
        if check:
            tell_check(table, orders, report)
            return
        record = Records(records or cabinets.with_suffix(".records"))
        tell_notes(record.notes, report)
        _require_choice(record, table, resume or again)
        if resume:
            _require_same_supply(record, supply, orders)
        workshop = make_workshop(firmware, not no_test, by, erase_journal, baud)
        with report, report.step("prepare firmware and application"):
            stock = _preflight(workshop, orders)
        with record.held():
            if labels:
                label_files.require_folder(labels)
            orders = _supplied(table, orders, supply, report)
            undone = [order for order in orders if again or not record.is_done(order)]
            tell_kept(orders, undone, record, stock, report)
            done_before = len(orders) - len(undone)
            bench = _bench(port, wait, yes, report)
            batch = Batch(bench, workshop, record, report, record.path.parent, lambda row: _label(labels, row, report))
            outcome = batch.run(undone)
            if labels:
                _write_sheet(labels, record, orders, page, report)
            tell_outcome(outcome, len(orders), done_before, record, report, again)
    except Problems as error:
        tell_refusal(error, report)
        raise typer.Exit(WRONG_USE) from None
    except Wrong as wrong:
        tell_refusal(Problems([_use(wrong.what, wrong.hint)]), report)
        raise typer.Exit(WRONG_USE) from None
    except KeyboardInterrupt:
        if batch:
            raise  # it was the second one, in the midst of labels and sums
        tell_refusal(Problems([_use("interrupted before the first board was touched")]), report)
        raise typer.Exit(1) from None
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
        record = Records(records.parent if records.is_file() else records)
        for note in record.notes:
            typer.echo(f"note: {note}", err=True)
        rows = label_files.flashed_rows(record, dict.fromkeys(row["gateway"] for row in record.lines))
        if not rows:
            raise Wrong(f"there is no board in {record.path}", "satama provision writes it")
        known = [row["gateway"] for row in rows]
        for name in gateway or []:
            if name not in known:
                raise Wrong(f"the record knows no board that is '{name}'", f"known: {some(known)}")
        rows = [row for row in rows if not gateway or row["gateway"] in gateway]
        written = [path for row in rows for path in label_files.write_label(out, row)]
        written.append(label_files.write_sheet(out, rows, page))
    except Problems as error:
        fail(error, as_json, WRONG_USE)
    except Wrong as wrong:
        fail(Problems([Problem("satama labels", None, "", wrong.what, wrong.hint)]), as_json, WRONG_USE)
    if as_json:
        typer.echo(json.dumps({"ok": True, "labels": len(rows), "written": [str(path) for path in written]}))
    else:
        typer.echo(f"{len(rows)} labels in {out}, the sheet is {label_files.SHEET_FILE}")


def make_workshop(firmware: Path | None, test: bool, by: str, erase_journal: bool, baud: int | None) -> Workshop:
    """The one for real boards."""
    from ..provisioning.board_workshop import BoardWorkshop  # brings esptool, which no other command needs

    return BoardWorkshop(firmware, test, by, erase_journal, baud)


def _somebody_there() -> bool:
    return sys.stdin.isatty()


def _use(what: str, hint: str = "") -> Problem:
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
    tell_notes([*table.notes, *notes, *supply.exposed(orders)], report)
    if table.unknown:
        report.say(f"note: kept in the record, not used otherwise: columns {', '.join(table.unknown)}")
    return orders


def _require_choice(record: Records, table: Table, chosen: bool) -> None:
    """A second run must say what it means. Raises Wrong."""
    done = sum(record.flashed(cabinet.gateway) is not None for cabinet in table.cabinets)
    if done and not chosen:
        what = f"{done} of the {len(table.cabinets)} cabinets are flashed already, says {record.path}"
        raise Wrong(what, "--resume goes on with the others, --again flashes all of them")


def _require_same_supply(record: Records, supply: Supply, orders: list[Order]) -> None:
    """A board that has credentials must not lose them because an option was forgotten. Raises Wrong."""
    bare = [o.cabinet.gateway for o in orders if record.had_credentials(o.cabinet.gateway) and not supply.gives(o)]
    if bare:
        what = f"{some(bare)}: flashed with credentials before, and now there would be none"
        raise Wrong(what, "the same --make-.. option as then; --again where they are to lose them")


def _supplied(table: Table, orders: list[Order], supply: Supply, report: Reporter) -> list[Order]:
    """With credentials, those that were missing made and told to the broker's files. Raises Wrong and Problems."""
    if supply.folder is None:
        return _compiled(table, orders, supply, report)
    with one_run(supply.folder, "these credentials", "another folder for --make-.. has others"):
        made = _compiled(table, orders, supply, report)
        tell_notes(new_notes(orders, made), report)
        files = supply.tell_broker(made)
    for path in files:
        report.say(f"for the broker: {path}")
    report.event("broker", files=[str(path) for path in files])
    tell_notes(supply.doubts(made), report)
    return made


def _compiled(table: Table, orders: list[Order], supply: Supply, report: Reporter) -> list[Order]:
    """Raises Wrong and Problems."""
    made = []
    with report, report.step("make the files of each board", len(orders)) as step:
        for order in orders:
            made.append(compile_cabinet(table, supply.supplied(order.cabinet)))
            _ = made[-1].digest  # takes its time, and is asked for of each: here it is seen
            step.to(len(made))
    return made


def _preflight(workshop: Workshop, orders: list[Order]) -> dict[str, dict[str, str]]:
    """What can be refused before a board is there, is. Board -> the firmware that it will get. Raises Problems."""
    problems, firmware = {}, {}
    for (board, _), order in {(order.compiled.board.name, order.cabinet.site): order for order in orders}.items():
        try:
            firmware[board] = workshop.prepare(order)
        except Failed as failed:
            problems[str(failed)] = _use(str(failed))
    if problems:
        raise Problems(problems.values())
    return firmware


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


def _write_sheet(folder: Path, record: Records, orders: list[Order], page: Sheet, report: Reporter) -> None:
    rows = label_files.flashed_rows(record, [order.cabinet.gateway for order in orders])
    if not rows:
        return
    try:
        path = label_files.write_sheet(folder, rows, page)
        report.say(f"labels: {path}")
        report.event("labels", file=str(path))
    except Problems as error:
        tell_notes(error.problems, report)
        report.say(f"later: satama labels {record.path.parent} --out DIR")
