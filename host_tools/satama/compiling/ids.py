"""Stream ids: the smallest number not yet taken, kept for ever in <site>.ids.toml beside the site file, with what each of them means.

Archives know a stream by its id, so an id is never given to another stream, and never has two units or kinds: removed streams stay in the
file, and if one comes back it gets its old id. A name that comes back with another unit or kind gets a new id, and the old one is kept as
a former id of that name. Since nothing is ever taken out, the ids of a sound file are exactly 0, 1, ... n-1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from ..core.problems import Key, Problem, Problems, Source, Strict, dotted
from ..core.whole_file import write_whole

_WAY_OUT = (
    "restore the file from version control; only if no copy exists and no archive holds data of this gateway, "
    "delete it: then all streams get new ids"
)
_CLASSES = ("alarm", "counter", "telemetry")


class Meaning(NamedTuple):
    """What the samples of an id are. Unit and kind never change; of the others it is what they were last."""

    unit: str
    exponent: int
    kind: str
    klass: int
    period_s: int
    retention_h: int = 0  # hours until it is wiped from flash, 0: never
    pseudonymous: bool = False

    def agrees(self, other: "Meaning") -> bool:
        """May one id have both? What was under a pseudonym never goes by a name that can be read."""
        return (self.unit, self.kind) == (other.unit, other.kind) and other.pseudonymous >= self.pseudonymous


@dataclass(frozen=True)
class Ids:
    """`streams`: name -> id; `former`: ids that these names have had -> name; `meaning`: by id, of old files not of all;
    `gone`: id of a stream that is not in the site any more -> with which change it went, counted from 1."""

    streams: dict[str, int] = field(default_factory=dict)
    former: dict[int, str] = field(default_factory=dict)
    meaning: dict[int, Meaning] = field(default_factory=dict)
    gone: dict[int, int] = field(default_factory=dict)

    @property
    def names(self) -> dict[int, str]:
        """The name of every id."""
        return {**self.former, **{number: name for name, number in self.streams.items()}}


class _Row(Strict):
    unit: str
    exponent: int
    kind: str
    klass: Literal["alarm", "counter", "telemetry"] = Field(alias="class")
    period_s: int
    retention_h: int = 0
    pseudonymous: bool = False
    gone: int = Field(0, ge=0)


class _File(Strict):
    streams: dict[str, int] = Field(description="[streams] with one line per stream: name = id")
    former: dict[str, str] = Field({}, description="[former] with one line per id that a name has had: id = name")
    meaning: dict[str, _Row] = Field({}, description="[meaning] with one line per id")


def ids_path(site_path: Path) -> Path:
    """sim/sites/demo.toml -> sim/sites/demo.ids.toml"""
    return site_path.with_name(f"{site_path.stem}.ids.toml")


def load_ids(path: Path) -> Ids:
    """What the file says; nothing if there is none yet. Raises Problems, with the way out, if it is damaged."""
    if not path.exists():
        return Ids()
    try:
        source = Source.read(path, "ids file")
        file = source.parse(_File)
    except Problems as error:
        raise Problems([Problem(p.file, p.line, p.key, p.what, _WAY_OUT) for p in error.problems]) from None
    problems: list[Problem] = []

    def wrong(key: Key, what: str) -> None:
        problems.append(Problem(path, source.line(key), dotted(key), what, _WAY_OUT))

    owners: dict[int, str] = {}
    claims = [(("streams", name), name, number) for name, number in file.streams.items()]
    claims += [(("former", number), name, _number(number)) for number, name in file.former.items()]
    for key, name, number in claims:
        if number < 0 or number in owners:
            what = f"id {number} is also that of '{owners[number]}'" if number in owners else f"{number} is not an id"
            wrong(key, f"stream '{name}': {what}")
        owners.setdefault(number, name)
    for number in file.meaning:
        if _number(number) not in owners:
            wrong(("meaning", number), f"no stream has id {number}")
    lost = sorted(set(range(max(owners, default=-1))) - set(owners))
    if lost and not problems:
        numbers = ", ".join(map(str, lost[:5])) + (" ..." if len(lost) > 5 else "")
        problems.append(Problem(path, None, "streams", f"lines are missing: no stream has id {numbers}", _WAY_OUT))
    if problems:
        raise Problems(problems)
    return Ids(
        dict(file.streams),
        {int(number): name for number, name in file.former.items()},
        {int(number): _meaning(row) for number, row in file.meaning.items()},
        {int(number): row.gone for number, row in file.meaning.items() if row.gone},
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else -1


def _meaning(row: _Row) -> Meaning:
    klass = _CLASSES.index(row.klass)
    return Meaning(row.unit, row.exponent, row.kind, klass, row.period_s, row.retention_h, row.pseudonymous)


def assign_ids(known: Ids, wanted: Mapping[str, Meaning]) -> Ids:
    """`known` brought up to date with the streams that a site has: name -> what it means.

    A new name gets the smallest free id, in the order of `wanted`; so does a known one whose id means something else, unless one of its
    former ids means just that. Of an id without a meaning, from an old file, it is taken to be what the stream is now.
    """
    streams, former, meaning = dict(known.streams), dict(known.former), dict(known.meaning)
    taken = set(streams.values()) | set(former)
    free = 0
    for name, means in wanted.items():
        number = streams.get(name)
        if number is None or not meaning.get(number, means).agrees(means):
            again = [at for at in sorted(former) if former[at] == name and at in meaning and meaning[at].agrees(means)]
            while not again and free in taken:
                free += 1
            if number is not None:
                former[number] = name
            streams[name] = again[0] if again else free
            former.pop(streams[name], None)
            taken.add(streams[name])
        meaning[streams[name]] = means
    made = Ids(streams, former, meaning)
    _hide(made, {name.partition("/")[0] for name, means in wanted.items() if means.pseudonymous})
    used = {streams[name] for name in wanted}
    change = max(known.gone.values(), default=0) + 1
    gone = {number: known.gone.get(number, change) for number in sorted(meaning) if number not in used}
    return replace(made, gone=gone)


def _hide(ids: Ids, hidden: set[str]) -> None:
    """What such a device has had before it was hidden goes by pseudonyms from now on, too: its name is a resident's."""
    for number, name in ids.names.items():
        if name.partition("/")[0] in hidden and number in ids.meaning:
            ids.meaning[number] = ids.meaning[number]._replace(pseudonymous=True)


def save_ids(path: Path, ids: Ids) -> None:
    """Keep `ids`; a file that already says so is left alone. Raises Problems if it cannot be written."""
    lines = [
        f"# Stream ids of {path.name.removesuffix('.ids.toml')}.toml, written by satama. Commit this file with it.",
        "# An id belongs to one stream for ever, so removed streams stay listed. Do not edit.",
        "",
        "[streams]",
    ]
    lines += [f'"{name}" = {number}' for name, number in sorted(ids.streams.items(), key=lambda item: item[1])]
    if ids.former:
        lines += ["", "# Ids that a name has had while it meant something else", "[former]"]
        lines += [f'"{number}" = "{name}"' for number, name in sorted(ids.former.items())]
    if ids.meaning:
        lines += ["", "# What each id means; gone: not in the site any more, counted by changes", "[meaning]"]
        lines += [_line(number, means, ids.gone.get(number, 0)) for number, means in sorted(ids.meaning.items())]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _line(number: int, means: Meaning, gone: int) -> str:
    parts = [f"unit = {json.dumps(means.unit, ensure_ascii=False)}", f"exponent = {means.exponent}"]
    parts += [f'kind = "{means.kind}"', f'class = "{_CLASSES[means.klass]}"', f"period_s = {means.period_s}"]
    parts += [f"retention_h = {means.retention_h}"] * bool(means.retention_h)
    parts += ["pseudonymous = true"] * means.pseudonymous
    parts += [f"gone = {gone}"] * bool(gone)
    return f'"{number}" = {{ {", ".join(parts)} }}'
