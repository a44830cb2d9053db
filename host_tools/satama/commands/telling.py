"""How commands tell: a table for people, sentences below a title, and the end of a command that could not do its work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDE = 1000  # columns of a table that is not shown on a terminal, so that no line is broken
_NARROWEST = 16  # columns that a cell keeps at least when its lines are broken
_GAP = 2


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, wraps: Sequence[str] = (), right: Sequence[str] = ()
) -> None:
    """On standard output. Columns that nobody fills are left out.

    wraps   columns whose lines are broken where the terminal is too narrow
    right   columns of numbers

    Nothing is ever cut off: a terminal that is narrower still breaks the lines itself.
    """
    filled = [at for at in range(len(head)) if any(row[at] for row in rows)]
    least = 0
    made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for at in filled:
        natural = max(len(head[at]), *(len(row[at]) for row in rows))
        least += _GAP + (min(natural, _NARROWEST) if head[at] in wraps else natural)
        made.add_column(
            head[at], justify="right" if head[at] in right else "left", no_wrap=head[at] not in wraps, overflow="fold"
        )
    for row in rows:
        made.add_row(*(escape(row[at]) for at in filled))
    console = Console()
    console = Console(width=max(console.width, least)) if console.is_terminal else Console(width=_WIDE)
    with console.capture() as shown:
        console.print(made, highlight=False)
    for line in shown.get().splitlines():
        typer.echo(line.rstrip())


def bullets(title: str, sentences: Sequence[str]) -> None:
    """A title and sentences below it; nothing where there are none."""
    if sentences:
        typer.echo(title)
    for sentence in sentences:
        typer.echo(f"  - {sentence}")


def stop(sentence: str, kind: str, as_events: bool, code: int, **about: Any) -> NoReturn:
    """End a command that tells events: its last one is {"event": "result", "ok": false, "kind", "error"} and `about`."""
    if as_events:
        typer.echo(json.dumps({"event": "result", "ok": False, "kind": kind, "error": sentence, **about}))
    else:
        typer.echo(sentence, err=True)
    raise typer.Exit(code)
