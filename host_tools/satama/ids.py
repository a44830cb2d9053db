"""Stream ids: the smallest number not yet taken, kept for ever in <site>.ids.toml beside the site file.

Archives know a stream by its id, so an id is never given to another stream: removed streams stay in the file, and if
one comes back it gets its old id. Since nothing is ever taken out, the ids of a sound file are exactly 0, 1, ... n-1.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from .problems import Problem, Problems, Source, Strict, dotted

_WAY_OUT = (
    "restore the file from version control; only if no copy exists and no archive holds data of this gateway, "
    "delete it: then all streams get new ids"
)


class _Ids(Strict):
    streams: dict[str, int] = Field(description="[streams] with one line per stream: name = id")


def ids_path(site_path: Path) -> Path:
    """sim/sites/demo.toml -> sim/sites/demo.ids.toml"""
    return site_path.with_name(f"{site_path.stem}.ids.toml")


def load_ids(path: Path) -> dict[str, int]:
    """Stream name -> id; {} if there is no file yet. Raises Problems, with the way out, if the file is damaged."""
    if not path.exists():
        return {}
    try:
        source = Source.read(path, "ids file")
        ids = source.parse(_Ids).streams
    except Problems as error:
        raise Problems([Problem(p.file, p.line, p.key, p.what, _WAY_OUT) for p in error.problems]) from None
    problems, owners = [], {}
    for name, number in ids.items():
        if number < 0 or number in owners:
            what = f"id {number} is also that of '{owners[number]}'" if number in owners else f"{number} is not an id"
            key = ("streams", name)
            problems.append(Problem(path, source.line(key), dotted(key), f"stream '{name}': {what}", _WAY_OUT))
        owners.setdefault(number, name)
    lost = sorted(set(range(max(owners, default=-1))) - set(owners))
    if lost and not problems:
        numbers = ", ".join(map(str, lost[:5])) + (" ..." if len(lost) > 5 else "")
        problems.append(Problem(path, None, "streams", f"lines are missing: no stream has id {numbers}", _WAY_OUT))
    if problems:
        raise Problems(problems)
    return ids


def assign_ids(known: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    """`known` and an id for every new name, the smallest free ones in the order of `names`."""
    ids = dict(known)
    free = 0
    taken = set(known.values())
    for name in names:
        if name not in ids:
            while free in taken:
                free += 1
            ids[name] = free
            taken.add(free)
    return ids


def save_ids(path: Path, ids: dict[str, int]) -> None:
    """Keep `ids`; a file that already says so is left alone. Raises Problems if it cannot be written."""
    lines = [
        f"# Stream ids of {path.name.removesuffix('.ids.toml')}.toml, written by satama. Commit this file with it.",
        "# An id belongs to one stream for ever, so removed streams stay listed. Do not edit.",
        "",
        "[streams]",
    ]
    lines += [f'"{name}" = {number}' for name, number in sorted(ids.items(), key=lambda item: item[1])]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that a crash leaves the old one or the new one. Raises Problems if impossible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and path.read_bytes() == data:
            return
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        hint = "is the folder writable, and is there space?"
        raise Problems([Problem(path, None, "", f"the file cannot be written: {error.strerror}", hint)]) from None
