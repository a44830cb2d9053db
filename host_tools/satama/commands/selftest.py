"""`satama selftest`: is this cabinet alive? A checklist with what to do about each red line, and the commissioning report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..commissioning.after_flash import START_S, WAIT_S, Commissioned, commission
from ..commissioning.checklist import Line
from ..commissioning.report import SUFFIXES, as_dict, as_html, as_json
from ..compiling.compiler import Compiled, compile_site
from ..core.problems import Problems
from ..core.progress import reporter
from ..core.whole_file import write_whole
from ..serial_line.gateway import LineError
from ..serial_line.ports import PortError
from .shared import FOUND_PROBLEM, WRONG_USE
from .telling import stop

_MARKS = {"ok": ("ok  ", "green"), "red": ("RED ", "red"), "waits": ("... ", "yellow"), "open": ("look", "yellow")}


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command()(selftest)


def selftest(
    port: Annotated[
        str, typer.Option("--port", "-p", help="COM3, /dev/ttyUSB0, socket://host:port, rfc2217://host:port")
    ],
    site: Annotated[
        Path | None,
        typer.Option("--site", "-s", help="the site file: advice then names terminals, and versions are compared"),
    ] = None,
    report_to: Annotated[
        list[Path] | None,
        typer.Option("--report", "-r", help="write the report: FILE.html or FILE.json; may be given twice"),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, max=3600, help="seconds that network, broker and devices may take")
    ] = WAIT_S,
    by: Annotated[str, typer.Option(help="who has done the work, for the report")] = "",
    as_events: Annotated[bool, typer.Option("--json", help="for tools: events, one JSON object a line")] = False,
) -> None:
    """Run the gateway's own self-test over its console. Nothing is restarted, and it goes on sampling.

    Ends with 0 when all is well, with 1 when something is red or no gateway answers, with 2 when the port cannot be opened.
    """
    targets = checked_targets(report_to or [], as_events)
    compiled = compiled_site(site, as_events, write_ids=False) if site else None
    try:
        with reporter(as_events) as report:
            start_s = min(START_S, max(5.0, wait))
            done = commission(port, report, compiled=compiled, wait_s=wait, start_s=start_s, absent_s=0)
            told = as_dict(done, port=port, by=by, site=compiled.body["site"] if compiled else "")
            trouble = write_reports(targets, told)
            report.event("result", ok=done.passed and not trouble, **told, **trouble)
    except PortError as error:
        stop(str(error), "port", as_events, WRONG_USE)
    except LineError as error:
        stop(str(error), error.kind, as_events, FOUND_PROBLEM)
    except KeyboardInterrupt:
        stop("stopped -> the gateway goes on as before; nothing was changed", "interrupted", as_events, FOUND_PROBLEM)
    if not as_events:
        show(done)
        show_reports(targets, trouble)
    if not done.passed or trouble:
        raise typer.Exit(FOUND_PROBLEM)


def compiled_site(site: Path, as_events: bool, *, write_ids: bool = True) -> Compiled:
    """The site file; ends the command where it has mistakes."""
    try:
        return compile_site(site, write_ids=write_ids)
    except Problems as error:
        found = [problem.as_dict() for problem in error.problems]
        stop(str(error), "site", as_events, WRONG_USE, **({"problems": found} if as_events else {}))


def checked_targets(paths: list[Path], as_events: bool) -> list[Path]:
    """Where reports go; ends the command, before anything is done, where there can be none."""
    for path in paths:
        if path.suffix not in SUFFIXES:
            stop(f"{path}: a report is a .html or a .json file -> name it so", "use", as_events, WRONG_USE)
        folder = path.absolute().parent
        if not folder.is_dir():
            stop(f"there is no folder {folder} -> make it, or name another", "use", as_events, WRONG_USE)
        if path.is_dir():
            stop(f"{path} is a folder -> name a file in it", "use", as_events, WRONG_USE)
    return paths


def show(done: Commissioned) -> None:
    """The checklist, on standard output."""
    for line in done.lines:
        for text, colour in _shown(line):
            typer.secho(text, fg=colour)
    red = len(done.red)
    if done.passed:
        typer.secho(f"{done.answer.get('gateway')}: passed", fg="green", bold=True)
    else:
        told = f"{red} red" if red else "not all could be told yet: test again, or give it more time with --wait"
        typer.secho(f"{done.answer.get('gateway')}: NOT PASSED, {told}", fg="red", bold=True)


def _shown(line: Line) -> list[tuple[str, str | None]]:
    mark, colour = _MARKS[line.state]
    name = f"{line.check} {line.of}".strip()
    shown: list[tuple[str, str | None]] = [(f"{mark}  {name:28}  {line.what}", colour if line.state != "ok" else None)]
    if line.advice:
        shown.append((f"      -> {line.advice}", colour))
    return shown


def write_reports(targets: list[Path], told: dict[str, Any]) -> dict[str, str]:
    """What could not be written, as "kind" and "error" of the result; {} when all is well."""
    try:
        for path in targets:
            write_whole(path, as_html(told) if path.suffix == ".html" else as_json(told))
    except Problems as error:
        return {"kind": "report", "error": str(error)}
    return {}


def show_reports(targets: list[Path], trouble: dict[str, str]) -> None:
    """Where they are; on standard error what could not be written."""
    if trouble:
        typer.echo(trouble["error"], err=True)
    for path in [] if trouble else targets:
        typer.echo(f"report: {path}")
