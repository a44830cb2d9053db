"""What the simulator's commands have in common: options, and how their errors are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from satama.image import ImageError
from satama.problems import Problems

from . import umqtt
from .board.wait import SimError
from .broker.serve import CannotListen
from .far_end import FarEndError
from .ports import PortError
from .vm_path import VmMissing

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
def explained() -> Iterator[None]:
    """Errors become sentences: 2 for wrong use, 1 for what was found."""
    try:
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
