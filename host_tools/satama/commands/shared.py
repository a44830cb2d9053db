"""What all commands share: their arguments, their exit codes, and how mistakes are told to people and to tools."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ..core.problems import Problems

FOUND_PROBLEM, WRONG_USE = 1, 2
SiteArgument = Annotated[Path, typer.Argument(help="the site file, e.g. sim/sites/demo.toml", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="for tools: one JSON object on standard output")]

# Of commands that go to a broker.
RootOption = Annotated[str, typer.Option("--root", help="the topics of all gateways begin with it")]
ForOption = Annotated[str | None, typer.Option("--for", help="how long: 90s, 10m, 24h; without, until Ctrl-C")]
UserOption = Annotated[str, typer.Option("--user", help="who we are at the broker")]
PasswordOption = Annotated[Path | None, typer.Option("--password-file", help="a file that holds the password")]
CaOption = Annotated[
    Path | None, typer.Option("--ca", help="certificates (PEM) that the broker's is checked with: use TLS")
]


def fail(error: Problems, as_json: bool, code: int) -> NoReturn:
    """Tell what is wrong and end with this exit code."""
    if as_json:
        typer.echo(json.dumps({"ok": False, "problems": [problem.as_dict() for problem in error.problems]}))
    else:
        typer.echo(str(error), err=True)
    raise typer.Exit(code)


def refuse(text: str, as_json: bool, code: int) -> NoReturn:
    """Say what is wrong and end with this exit code."""
    if as_json:
        what, _, hint = text.partition(" -> ")
        problem = {"file": "", "line": None, "key": "", "what": what, "hint": hint}
        typer.echo(json.dumps({"ok": False, "problems": [problem]}))
    else:
        typer.echo(text, err=True)
    raise typer.Exit(code)
