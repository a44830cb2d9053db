"""The `satama` command. Exit codes: 0 done, 1 found a problem, 2 wrong use."""

from __future__ import annotations

import io
import sys

import typer

from . import (
    __version__,
    commands_certs,
    commands_collect,
    commands_decode,
    commands_explain,
    commands_plan,
    commands_profiles,
    commands_send_certs,
    commands_site,
)
from .boards import commands as boards
from .commissioning import commands as commissioning
from .deploying import commands as deploying
from .flashing import commands as flashing
from .provisioning import commands as commands_provisioning

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


commands_site.register(app)
commands_certs.register(app)
commands_send_certs.register(app)
commands_plan.register(app)
commands_explain.register(app)
commands_profiles.register(app)
boards.register(app)
commands_decode.register(app)
commands_collect.register(app)
flashing.register(app)
commissioning.register(app)
deploying.register(app)
commands_provisioning.register(app)
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


if __name__ == "__main__":
    main()
