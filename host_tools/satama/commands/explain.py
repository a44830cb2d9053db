"""`satama explain`: one point of a site from the wire to its streams, in words: where it comes from, what is done with it."""

import difflib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.problems import Problem, Problems
from ..core.quantities import symbol
from ..core.scale import Scale
from ..core.whole_file import write_whole
from ..explaining import plot as pictures
from ..explaining.day import SPIKES, Day, simulate
from ..explaining.points import as_data
from ..resolving.resolve import resolve_site
from ..resolving.resolved import Channel, Resolved, Signal
from .shared import WRONG_USE, JsonOption, SiteArgument, fail

PointArgument = Annotated[
    str, typer.Argument(help="DEVICE/POINT or a stream, e.g. bin-1/distance", metavar="POINT", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command()(explain)


def explain(
    site: SiteArgument,
    point: PointArgument,
    plot: Annotated[bool, typer.Option("--plot", help="show raw against filtered for a simulated day")] = False,
    seed: Annotated[int | None, typer.Option("--seed", help="of the simulated day; 1 if left out")] = None,
    spikes: Annotated[
        int | None, typer.Option("--spikes", min=0, help=f"odd readings in the simulated day; {SPIKES} if left out")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write the picture as an SVG file, too")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell in words where a point comes from, what its filters do, and which streams it makes."""
    day = None
    try:
        if not plot:
            _require_plot(seed=seed, spikes=spikes, out=out)
        resolved = resolve_site(site)
        signal = find(resolved, point)
        facts = as_data(resolved, signal)
        if plot:
            channel = _readable(resolved, signal)
            seed = 1 if seed is None else seed
            day = simulate(resolved, channel, seed, SPIKES if spikes is None else spikes)
            facts["plot"] = {"seed": seed, **day.as_data()}
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)
    if out and day:
        title = f"{signal.name}, a simulated day (seed {seed})"
        try:
            write_whole(out, pictures.as_svg(day, title, facts["exponent"], facts["unit"]).encode())
        except Problems as error:
            fail(error, as_json, code=1)
        facts["plot"]["out"] = str(out)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    for line in as_text(facts):
        typer.echo(line)
    if day:
        for line in _day_as_text(day, facts):
            typer.echo(line)


def _require_plot(**given: Any) -> None:
    """Raises Problems for an option that means nothing without --plot."""
    problems = [
        Problem(f"--{name}", None, name, "belongs to --plot", "add --plot, or leave it out")
        for name, value in given.items()
        if value is not None
    ]
    if problems:
        raise Problems(problems)


def find(resolved: Resolved, name: str) -> Signal:
    """The point of that name, or the one that makes the stream of that name. Raises Problems with the closest names."""
    for signal in resolved.signals:
        if name == signal.name or name in [signal.stream(output).name for output in signal.outputs]:
            return signal
    names = [signal.name for signal in resolved.signals]
    near = [full for full in names if full.rpartition("/")[2] == name]
    near = near or difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(near[:5])}?" if near else f"points: {', '.join(names)}"
    raise Problems([Problem(resolved.source.path, None, name, f"this site has no point '{name}'", hint)])


def _readable(resolved: Resolved, signal: Signal) -> Channel:
    """Raises Problems for what no device shows: there is no simulated day of it."""
    if isinstance(signal, Channel):
        return signal
    step = next(step for step in resolved.site.derived if step.id == signal.owner)
    read = {channel.name for channel in resolved.channels}
    names = [name for _, name in step.sources() if name in read] or sorted(read)
    what = f"'{signal.name}' is derived: --plot shows what a device shows against what its filters make of it"
    raise Problems([Problem(resolved.source.path, None, "--plot", what, f"plot a source: {', '.join(names)}")])


# --- for people


def as_text(facts: dict[str, Any]) -> Iterator[str]:
    """The same, line by line."""
    unit = symbol(facts["unit"])
    shown = Scale(facts["exponent"], facts["unit"]).shown(1)
    quantity = facts["quantity"].replace("_", " ")
    yield f"{facts['point']}: {quantity}{f' in {unit}' if unit else ''}, a {facts['kind']} of class {facts['class']}"
    yield from _read(facts, unit, shown) if "device" in facts else _derived(facts, shown)
    privacy = facts["privacy"]
    if privacy:
        named = f"profile {privacy['profile']}" if privacy["profile"] else "as its sources"
        for at, words in enumerate(privacy["words"] or [""]):
            yield from _part("" if at else "privacy", words if at else f"{named}: {words}")
    for number, step in enumerate(facts["filters"], 1):
        by = " (of the profile)" if step["from"] == "profile" else ""
        yield from _part(f"filter {number}", f"{step['kind']}{by}: {step['formula']}")
        yield from _part("", step["words"], step["reasons"])
    if not facts["filters"]:
        yield from _part("filters", "none: readings pass as they are")
    window = facts["window"]
    if window:
        yield from _part("window", f"{window['period_s']} s, aligned to the clock", window["reasons"])
        for output, words in window["outputs"].items():
            yield from _part("", f"{output}: {words}")
    elif facts["streams"]:
        yield from _part("window", "none: every reading that passes is a sample")
    report = facts["report"]
    if report:
        words = f"only the first value of a stream, one that differs by {report['change']} or more from the last"
        yield from _part("report", f"{words} reported or in quality, and one after {report['heartbeat_s']} s")
    if not facts["streams"]:
        yield from _part("streams", "none: nothing of this point is stored or sent")
    for stream in facts["streams"]:
        always = window and not report
        every = f"every {stream['period_s']} s" if always else f"at most every {stream['period_s']} s"
        told = f"{stream['name']}, id {stream['id']}: a {stream['kind']} of class {stream['class']}, {every}"
        yield from _part("stream", told)


def _read(facts: dict[str, Any], unit: str, shown: str) -> Iterator[str]:
    device, source = facts["device"], facts["source"]
    yield from _part("device", f"{device['id']}: {device['model']}, {device['wires']}, profile {facts['profile']}")
    yield from _part("read", f"every {facts['read_s']} s from {source['place']}")
    yield from _part("value", f"{source['value']}; kept in steps of {shown}", source["reasons"])
    if facts["range"]:
        yield from _part("possible", f"{facts['range'][0]} to {facts['range'][1]} {unit}".rstrip())
    if facts["states"]:
        yield from _part("states", ", ".join(f"{code} {name}" for code, name in facts["states"].items()))
    if facts["doubt"]:
        yield from _part("doubt", facts["doubt"])


def _derived(facts: dict[str, Any], shown: str) -> Iterator[str]:
    step = facts["derived"]
    yield from _part("derived", f"{step['id']}: {step['kind']}, with every new reading of a source")
    for source in step["sources"]:
        unit = symbol(source["unit"])
        yield from _part("source", f"{source['key']}: {source['point']}{f' in {unit}' if unit else ''}")
    yield from _part("value", f"{step['formula']}; kept in steps of {shown}")
    yield from _part("", step["words"], step["reasons"])


def _day_as_text(day: Day, facts: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"a simulated day, seed {facts['plot']['seed']}: {pictures.summary(day)}"
    columns = shutil.get_terminal_size().columns
    yield from pictures.as_lines(day, facts["exponent"], facts["unit"], columns)
    if "out" in facts["plot"]:
        yield f"wrote {facts['plot']['out']}"


def _part(title: str, words: str, reasons: Sequence[str] = ()) -> Iterator[str]:
    yield f"  {title:<9} {words}"
    if reasons:
        yield f"  {'':<9} reasons: {', '.join(reasons)}"
