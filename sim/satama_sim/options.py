"""What the simulator's commands have in common: options, and how their errors are told."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from satama.core.problems import Problems
from satama.packing.image import ImageError

from .board.wait import SimError
from .broker.serve import CannotListen
from .network.far_end import FarEndError
from .ports import PortError
from .vm import umqtt
from .vm.path import VmMissing

VmOption = Annotated[
    Path | None, typer.Option("--vm", help="a MicroPython unix executable instead of the pip package's")
]
SeedOption = Annotated[int, typer.Option("--seed", help="the same seed gives the same run, to the byte")]
BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker",
        help="host:port of an MQTT broker instead of the simulated one (mqtts:// before it: the gateway's own TLS)",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="for tools: one JSON object on the last line")]


@contextmanager
def _in_good_order() -> Iterator[None]:
    """SIGTERM and SIGHUP let go of VMs, ports and files of flash, too: by themselves they would end the process on the spot."""
    caught = []
    if threading.current_thread() is threading.main_thread():  # only there they can be
        kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        caught = [kind for kind in kinds if signal.getsignal(kind) is signal.SIG_DFL]  # nohup wants none

    def end(*_: object) -> None:
        for kind in caught:
            signal.signal(kind, signal.SIG_IGN)  # a closed terminal says it twice, and the ending must not be cut short
        raise KeyboardInterrupt

    for kind in caught:
        signal.signal(kind, end)
    try:
        yield
    finally:
        for kind in caught:
            signal.signal(kind, signal.SIG_DFL)


@contextmanager
def explained() -> Iterator[None]:
    """Errors become sentences: 2 for wrong use, 1 for what was found. To be ended, or to lose the terminal, is as Ctrl-C."""
    try:
        with _in_good_order():
            yield
    except Problems as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (ValueError, VmMissing) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (ImageError, SimError, PortError, FarEndError, CannotListen, umqtt.UmqttMissing) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
