"""The `satama` command. Exit codes: 0 done, 1 found a problem, 2 wrong use."""

from __future__ import annotations

import io
import sys

import typer

from . import __version__
from .commands import (
    boards,
    certs,
    collect,
    decode,
    deploy,
    explain,
    flash,
    plan,
    profiles,
    provision,
    selftest,
    send_certs,
    site,
)

app = typer.Typer(
    name="satama",
    help="Edge gateways for a city district: describe a cabinet, check it, simulate it on the real MicroPython VM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"satama {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="print the version"),
) -> None:
    pass


site.register(app)
certs.register(app)
send_certs.register(app)
plan.register(app)
explain.register(app)
profiles.register(app)
boards.register(app)
decode.register(app)
collect.register(app)
flash.register(app)
selftest.register(app)
deploy.register(app)
provision.register(app)
try:
    from satama_sim import commands as _simulation
except ModuleNotFoundError as _error:  # installed without the extra
    _missing = _error.name

    @app.command(name="sim", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def _sim() -> None:
        """Simulate a cabinet (needs the extra: pip install 'satama[sim]')."""
        typer.echo(f"the simulator needs {_missing} -> pip install 'satama[sim]'", err=True)
        raise typer.Exit(2)

    app.command(name="demo", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(_sim)
else:
    _simulation.register(app)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to fail
    sys.exit(app())
