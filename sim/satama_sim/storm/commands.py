"""`satama storm powercut` and `satama storm outage`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..options import JsonOption, SeedOption, VmOption, explained
from . import outage, pool
from .powercut import Truth

_MOST_SHOWN = 20


def register(app: typer.Typer) -> None:
    storm = typer.Typer(help="Mistreat a simulated cabinet and ask for every sample afterwards.", no_args_is_help=True)
    storm.command()(powercut)
    storm.command(name="outage")(_outage)
    app.add_typer(storm, name="storm")


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def powercut(
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="processes (default: one a core)")] = os.cpu_count() or 1,
    seed: SeedOption = 1,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="only so many cuts, spread over all")] = None,
    only: Annotated[str | None, typer.Option("--only", help="OP:MODE: this one, as a violation is reported")] = None,
    vm: VmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cut the power at every flash operation of a gateway's life, each in six manners, and see what became of every sample."""

    def choose(truth: Truth) -> pool.Plan:
        if only:
            return pool.one(truth, only)
        return pool.some(truth, sample, seed) if sample else pool.everything(truth)

    with explained(), _bar("cutting", as_json) as progress:
        report = pool.storm(seed, choose, jobs, progress, vm=vm)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _tell_cuts(report)
    if not report["repeatable"]:
        typer.echo("two runs with one seed were not the same: no verdict is to be trusted -> report this", err=True)
    raise typer.Exit(1 if report["violations"] or not report["repeatable"] else 0)


def _tell_cuts(report: dict[str, Any]) -> None:
    typer.echo(
        "{cuts} cuts at {operations} flash operations, {samples} samples ({dropped} dropped without any cut), {real_s} s".format(
            **report
        )
    )
    violations = report["violations"]
    for violation in violations[:_MOST_SHOWN]:
        typer.echo("{op}:{mode} {kind}: {what}".format(**violation))
    if len(violations) > _MOST_SHOWN:
        typer.echo(f"... {len(violations) - _MOST_SHOWN} more")
    kinds = Counter(violation["kind"] for violation in violations)
    summary = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    typer.echo(f"violations: {summary} -> look at one with --only OP:MODE" if violations else "no violations")


def _outage(
    hours: Annotated[float, typer.Option("--hours", min=0.1, help="how long the broker is gone")] = 72,
    pace: Annotated[
        int | None,
        typer.Option(
            "--pace", min=1, help="samples of the backlog that must pass in a second; the site's own if left out"
        ),
    ] = None,
    seed: SeedOption = 1,
    vm: VmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the broker away from 16 devices for days, give it back, and see how what was kept comes in."""
    with explained(), _bar("seconds", as_json) as progress:
        report = outage.outage(hours, pace, seed, progress, vm=vm)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for key, value in report.items():
            if key != "violations":
                typer.echo(f"{key.replace('_', ' ')}: {value}")
        for violation in report["violations"][:_MOST_SHOWN]:
            typer.echo("{kind}: {what}".format(**violation))
        typer.echo("violations: none" if not report["violations"] else f"violations: {len(report['violations'])}")
    raise typer.Exit(1 if report["violations"] else 0)
