"""`satama deploy`: what changed of a site or the application, onto a gateway that runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..compiling.compiler import compile_site
from ..core.problems import Problems
from ..core.progress import reporter
from ..deploying.deploy import Deployed, DeployError, deploy
from ..deploying.identity import Wanted
from ..packing.image import ImageError, slot
from ..serial_line.gateway import GatewayLine, LineError
from ..serial_line.ports import PortError
from .shared import FOUND_PROBLEM, WRONG_USE, fail
from .telling import stop

_ANSWER_S = 15.0
_AGAIN = (
    "run the same command again: it goes on where it stopped. The gateway runs on with what it had, or tries the new application if all of "
    "it was there"
)


class _Line:
    """A gateway's console that is opened again after its port went away: that of a board with native USB does at a reset."""

    def __init__(self, url: str):
        self._url = url
        self._line: GatewayLine | None = None
        self.was_open = False

    def request(self, op: str, *, of: Any = None, value: Any = None) -> dict[str, Any]:
        """As Asker. A `put` whose answer was lost, or is held up by a person's long question, is sent once more: it changes nothing then."""
        try:
            return self._asked(op, of, value)
        except LineError as error:
            if op != "put" or error.kind != "silent":
                raise
            return self._asked(op, of, value)

    def _asked(self, op: str, of: Any, value: Any) -> dict[str, Any]:
        if self._line is None:
            self._line = GatewayLine.open(self._url)
            self.was_open = True
        try:
            return self._line.request(op, of=of, value=value, timeout_s=_ANSWER_S)
        except PortError:
            self.close()
            raise

    def close(self) -> None:
        if self._line:
            self._line.close()
            self._line = None


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command(name="deploy")(deploy_site)


def deploy_site(
    site: Annotated[Path, typer.Argument(help="the site file of the gateway at that port")],
    port: Annotated[
        str, typer.Option("--port", "-p", help="COM3, /dev/ttyUSB0, socket://host:port, rfc2217://host:port")
    ],
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="do not wait until the new application has proved itself")
    ] = False,
    board: Annotated[
        str | None,
        typer.Option(
            "--board", "-b", help="the board that you see there: for a gateway that is too old to say it itself"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for tools: events, one JSON object a line")] = False,
) -> None:
    """Bring a changed site, or a new version of the application, onto a gateway that runs, while it goes on sampling.

    Only what changed is sent. The gateway then starts anew, once; the old application comes back by itself when the new one does not
    prove itself within ten minutes. Stopped with Ctrl-C, or without its cable, it can be run again.
    """
    try:
        compiled = compile_site(site)
        archive = slot(compiled.data, certificates=compiled.certificates)
    except Problems as error:
        fail(error, as_json, WRONG_USE)
    except ImageError as error:
        stop(str(error), "image", as_json, FOUND_PROBLEM)
    except KeyboardInterrupt:
        stop("stopped -> nothing was sent; run the same command again", "interrupted", as_json, FOUND_PROBLEM)
    wanted = Wanted(compiled.body["gateway"], compiled.board.name, compiled.board.chip, board_seen=board is not None)
    if board not in (None, wanted.board):
        what = f"the site file is for the board {wanted.board}, not for {board}"
        stop(f"{what} -> correct the site file, or leave --board out", "use", as_json, WRONG_USE)
    line = _Line(port)
    try:
        with reporter(as_json) as report:
            done = deploy(line, archive, wanted, report, prove=not no_wait, lost=LineError, gone=PortError)
            report.event("result", ok=True, **asdict(done))
    except DeployError as error:
        stop(str(error), "deploy", as_json, FOUND_PROBLEM)
    except LineError as error:
        stop(f"{error}; then {_AGAIN}", error.kind, as_json, FOUND_PROBLEM)
    except PortError as error:
        if line.was_open:
            stop(f"{error}; then {_AGAIN}", "port", as_json, FOUND_PROBLEM)
        stop(str(error), "port", as_json, WRONG_USE)
    except KeyboardInterrupt:
        stop(f"stopped -> {_AGAIN}", "interrupted", as_json, FOUND_PROBLEM)
    finally:
        line.close()
    if not as_json:
        typer.echo(_told(done, wanted.gateway, no_wait))


def _told(done: Deployed, name: str, no_wait: bool) -> str:
    if done.unchanged:
        return f"{name} runs exactly this already; nothing was sent"
    sent = f"{done.sent} bytes sent, {done.copied} copied on the board"
    if no_wait:
        return f"{name} starts with it now, on trial ({sent}) -> see whether it stays: the same command again"
    return f"{name} runs it, in slot {done.slot} ({sent})"
