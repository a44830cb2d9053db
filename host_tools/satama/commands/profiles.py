"""`satama profiles`: which device types there are, what one of them measures, and whether a file of your own is right."""

import json
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ..core.problems import Problem, Problems, closest
from ..core.quantities import symbol
from ..profiles.library import list_profiles, load_profile, profile_path
from ..profiles.profile import Point, Profile
from ..profiles.words import place, wires
from .shared import FOUND_PROBLEM, WRONG_USE, JsonOption, fail
from .telling import bullets, table

_NUMBERS = ("points", "doubts")

profiles = typer.Typer(help="Device types: list them, show one, check a file of your own.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the `satama` command."""
    app.add_typer(profiles, name="profiles")


@profiles.callback()
def list_all(
    context: typer.Context,
    as_json: JsonOption = False,
    kind: Annotated[str | None, typer.Option("--kind", "-k", help="only these, e.g. electricity_meter")] = None,
) -> None:
    """List the device types that Satama knows."""
    if context.invoked_subcommand is not None:
        if as_json or kind is not None:
            _stop(f"--json and --kind before {context.invoked_subcommand} say nothing -> write --json behind it")
        return
    try:
        known = [load_profile(name) for name in list_profiles()]
    except Problems as error:
        fail(error, as_json, FOUND_PROBLEM)
    kinds = sorted({profile.kind for profile in known})
    if kind is not None and kind not in kinds:
        what = f"there is no device type of kind '{kind}'"
        fail(Problems([Problem("--kind", None, "kind", what, closest(kind, kinds, "kinds"))]), as_json, WRONG_USE)
    chosen = [profile for profile in known if kind in (None, profile.kind)]
    if as_json:
        typer.echo(json.dumps({"ok": True, "profiles": [_head(profile) for profile in chosen]}))
        return
    rows = [
        (p.name, f"{p.vendor} {p.model}", p.kind, wires(p), str(len(p.points)), str(len(list(p.doubts())) or ""))
        for p in chosen
    ]
    table(("name", "device", "kind", "wires", "points", "doubts"), rows, wraps=("device",), right=_NUMBERS)
    typer.echo(f"{len(chosen)} device types; satama profiles show NAME tells what one of them measures")


@profiles.command()
def show(
    name: Annotated[str, typer.Argument(help="a name from the list, e.g. eastron-sdm630", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Show one of the device types that come with Satama: its points, and what has to be checked on the device."""
    if name not in list_profiles():
        what = f"there is no profile named '{name}'"
        near = closest(name, list_profiles(), "profiles").partition(" (")[0]
        hint = near if near.startswith("did you mean") else "satama profiles lists them"
        fail(Problems([Problem(name, None, "", what, hint)]), as_json, WRONG_USE)
    _tell(name, as_json)


@profiles.command()
def check(
    file: Annotated[Path, typer.Argument(help="a profile of your own, e.g. my-meter.toml", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a profile: what is wrong and what would be right, or else what it measures and what is doubtful."""
    if not file.is_file():
        what = "there is no such file" if not file.exists() else "this is no file"
        hint = (
            "satama profiles show NAME is for those that come with Satama"
            if file.suffix != ".toml"
            else "check the path"
        )
        fail(Problems([Problem(file, None, "", what, hint)]), as_json, WRONG_USE)
    _tell(file if file.suffix == ".toml" else file.absolute(), as_json)


def _tell(name_or_file: str | Path, as_json: bool) -> None:
    try:
        profile = load_profile(name_or_file)
    except Problems as error:
        fail(error, as_json, FOUND_PROBLEM)
    if as_json:
        typer.echo(json.dumps({"ok": True, **_whole(profile)}, default=_exact))
        return
    typer.echo(f"{profile.name}: {profile.vendor} {profile.model}, {profile.kind}")
    for fact in _facts(profile):
        typer.echo(f"  {fact}")
    rows = [
        (p.name, p.quantity, _unit(p), _kind(p), place(profile, p), _bounds(p), _written(p)) for p in profile.points
    ]
    table(("point", "quantity", "unit", "kind", "where", "range", "writable"), rows, wraps=("range", "writable"))
    bullets("Good to know:", profile.quirks)
    bullets("Check on the device:", [f"{about}: {doubt}" for about, doubt in profile.doubts()])
    bullets("Sources:", profile.sources)


# --- what is told


def _facts(profile: Profile) -> Iterable[str]:
    serial, tcp, limits = profile.serial, profile.tcp, profile.limits
    if serial:
        unit = f", unit {serial.unit}" if serial.unit else ""
        yield f"factory settings: {serial.baud} 8{serial.parity}{serial.stop_bits}{unit}"
    if tcp:
        yield f"Modbus TCP: port {tcp.port}" + (f", unit {tcp.unit}" if tcp.unit else "")
    if limits:
        times = f"{limits.gap_ms} ms between requests, answers within {limits.timeout_ms} ms"
        yield f"at most {limits.max_registers} register{'s' * (limits.max_registers > 1)} in one read, {times}"
    if profile.sunspec:
        yield f"SunSpec model {profile.sunspec.model}, found from {', '.join(map(str, profile.sunspec.bases))}"
    if profile.telegram:
        yield f"a telegram every {profile.telegram.interval_s} s"
    if profile.stream:
        yield f"a frame of {profile.stream.length} bytes every {profile.stream.interval_s} s"


def _unit(point: Point) -> str:
    return symbol(point.unit)


def _kind(point: Point) -> str:
    return f"{point.kind}, {point.delivery}" if point.delivery else point.kind


def _bounds(point: Point) -> str:
    if point.names:
        return ", ".join(f"{code}: {name}" for code, name in sorted(point.names.items()))
    return "" if point.range is None else f"{_exact(point.range[0])} to {_exact(point.range[1])}"


def _written(point: Point) -> str:
    if point.write is None:
        return ""
    values = [_exact(value) for value in point.write.values]
    if point.write.range:
        values.append(f"{_exact(point.write.range[0])} to {_exact(point.write.range[1])}")
    return ", ".join(values)


def _head(profile: Profile) -> dict:
    return {
        "name": profile.name,
        "vendor": profile.vendor,
        "model": profile.model,
        "kind": profile.kind,
        "interface": profile.interface,
        "wires": wires(profile),
        "points": len(profile.points),
        "doubts": [{"about": about, "doubt": doubt} for about, doubt in profile.doubts()],
        "file": str(profile_path(profile.name)),
    }


def _whole(profile: Profile) -> dict:
    """A profile as plain data, named as in its file; masks of markers are [mask, value]."""
    given = profile.model_dump(by_alias=True, exclude_unset=True)
    given["doubts"] = [{"about": about, "doubt": doubt} for about, doubt in profile.doubts()]
    return given


def _exact(number: Decimal | Fraction) -> str:
    return f"{number:f}" if isinstance(number, Decimal) else str(number)


def _stop(what: str) -> NoReturn:
    typer.echo(what, err=True)
    raise typer.Exit(WRONG_USE)
