"""Mistakes in hand-written TOML files, told so that they can be mended: file, line, what is wrong, what would be right.

`Source` reads one file and remembers on which line every key stands; `Source.parse` turns it into a strict pydantic
model; whatever is wrong comes out as `Problems`, all of it at once.
"""

import copy
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, TypeVar

import pydantic

from .toml_lines import Key, key_lines

Model = TypeVar("Model", bound=pydantic.BaseModel)
SECRET = re.compile(r"pass|secret|token|psk|client_key", re.IGNORECASE)


class Problem(Exception):
    """One mistake. `line` counts from 1 and is None where it is not known; `key` is a path like device[2].points[1]."""

    def __init__(self, file: Path | str, line: int | None, key: str, what: str, hint: str = "") -> None:
        super().__init__(file, line, key, what, hint)
        self.file, self.line, self.key, self.what, self.hint = str(file), line, key, what, hint

    def __str__(self) -> str:
        file = self.file.removeprefix(f"{Path.cwd()}/")
        place = f"{file}:{self.line}" if self.line else file
        return f"{place}: {self.what}" + (f"\n  -> {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "key": self.key, "what": self.what, "hint": self.hint}


class Problems(Exception):
    """All mistakes found in one go, in the order of their lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.file, p.line or 0))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Wrong(ValueError):
    """Raised by validators of the models: what is wrong with a value, and what would be right."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


class Strict(pydantic.BaseModel):
    """Base of all file models: unknown keys are refused, nothing is converted silently, nothing changes afterwards."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


def closest(word: object, choices: Iterable[object], intro: str = "known") -> str:
    """A hint for a name that is not among `choices`: the likeliest one meant, then all of them."""
    names = [str(c) for c in choices]
    near = difflib.get_close_matches(str(word), names, n=1)
    every = f"{intro}: {', '.join(names)}" if names else f"{intro}: none"
    return f"did you mean '{near[0]}'? ({every})" if near else every


class Source:
    """One TOML file: its text, its data (numbers with a point are Decimal) and the line of every key."""

    def __init__(self, path: Path, text: str, data: dict[str, Any]) -> None:
        self.path, self.text, self.data = path, text, data
        self._lines = key_lines(text, data)

    @classmethod
    def read(cls, path: Path | str, noun: str = "file") -> Self:
        """Raises Problems when the file is missing, unreadable, not UTF-8 or not TOML."""
        path = Path(path)
        try:
            text = path.read_bytes().decode()
        except FileNotFoundError:
            beside = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
            hint = closest(path.name, sorted(beside), f"TOML files in {path.parent}")
            raise Problems([Problem(path, None, "", f"there is no such {noun}", hint)]) from None
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise Problems([Problem(path, line, "", f"the {noun} is not UTF-8 text", "save it as UTF-8")]) from None
        except OSError as error:
            raise Problems([Problem(path, None, "", f"the {noun} cannot be read: {error.strerror}")]) from None
        text = text.removeprefix("\ufeff")
        try:
            data = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at line (\d+), column \d+\)", str(error))
            what = str(error).partition(" (at ")[0]
            line = int(where[1]) if where else text.rstrip().count("\n") + 1
            raise Problems(
                [Problem(path, line, "", f"not valid TOML: {what}", "see https://toml.io/en/v1.0.0")]
            ) from None
        return cls(path, text, data)

    def overridden(self, values: Mapping[Key, Any]) -> Self:
        """The same file as if these values stood in it: path of tables -> value. Lines stay those of the file."""
        data = copy.deepcopy(self.data)
        for (*tables, name), value in values.items():
            table: Any = data
            for part in tables:
                table = table.setdefault(part, {}) if isinstance(table, dict) else None
            if isinstance(table, dict):  # what is no table where one belongs is told by parse
                table[name] = value
        return type(self)(self.path, self.text, data)

    def line(self, key: Key) -> int | None:
        """The line of a key, or of the nearest block around it that stands in the file; None if there is none."""
        for end in range(len(key), 0, -1):
            if key[:end] in self._lines:
                return self._lines[key[:end]]
        return None

    def value(self, key: Key) -> Any:
        value: Any = self.data
        for part in key:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def problem(self, key: Key, what: str, hint: str = "") -> Problem:
        """A problem at `key`; the sentence starts with the named block that it stands in, e.g. device 'water'."""
        block = self._block(key)
        return Problem(self.path, self.line(key), dotted(key), f"{block}: {what}" if block else what, hint)

    def parse(self, model: type[Model]) -> Model:
        try:
            return model.model_validate(self.data)
        except pydantic.ValidationError as error:
            details = error.errors(include_url=False)
        strangers = [d["loc"] for d in details if d["type"] == "extra_forbidden"]
        raise Problems([self._explain(model, d) for d in details if not _misspelt(d, strangers)])

    def _block(self, key: Key) -> str:
        names = []
        for at in range(1, len(key) + 1):
            part, value = key[at - 1], self.value(key[:at])
            if isinstance(part, int) and isinstance(value, dict) and isinstance(key[at - 2], str):
                name = value.get("id", value.get("name"))
                if isinstance(name, str):
                    names.append(f"{key[at - 2]} '{name}'")
                elif at == 2:
                    names.append(f"{key[at - 2]} {part + 1}")
            elif at >= 2 and key[at - 2] == "point" and isinstance(part, str):
                names.append(f"point '{part}'")
        return ", ".join(names) or (str(key[0]) if len(key) > 1 else "")

    def _explain(self, model: type[pydantic.BaseModel], detail: Any) -> Problem:
        """One pydantic error in our own words. The offending value is shown only where it cannot be a secret."""
        key, field, known = _follow(model, detail["loc"], self.data)
        kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
        name = str(key[-1]) if key else ""
        if len(key) > 1 and isinstance(key[-1], int):
            name = f"{key[-2]}[{key[-1]}]"
        about = (field.description or "") if field else ""
        secret = any(SECRET.search(str(part)) for part in key)
        plain = isinstance(given, str | int | Decimal) and not secret
        shown = f"{name} = {toml_value(given)}" if plain else name
        if kind == "extra_forbidden":
            return self.problem(key, f"unknown key '{name}'", closest(name, known))
        if kind == "missing":
            return self.problem(key, f"'{name}' is missing", about and f"{name}: {about}")
        if isinstance(context.get("error"), Wrong):
            wrong = context["error"]
            return self.problem(key, f"{shown}: {wrong.what}" if name else wrong.what, wrong.hint or about)
        if kind == "literal_error":
            choices = [c.strip("'") for c in re.split(r", | or ", context["expected"])]
            return self.problem(key, f"{shown} is not one of the choices", closest(given if plain else "", choices))
        if kind.startswith("union_tag"):
            choices = [c.strip("'") for c in str(context.get("expected_tags", known)).split(", ")]
            return self.problem(key, f"{name}: 'kind' must be one of {', '.join(choices)}")
        return self.problem(key, f"{shown} {_sentence(kind, context)}", about)


def _misspelt(detail: Any, strangers: list[Key]) -> bool:
    """Is this a missing key that stands beside it under a wrong name? Then that name is the one mistake."""
    *block, name = detail["loc"] or [""]
    beside = [str(loc[-1]) for loc in strangers if list(loc[:-1]) == block]
    return detail["type"] == "missing" and bool(difflib.get_close_matches(str(name), beside, n=1))


def _sentence(kind: str, context: dict[str, Any]) -> str:
    expected = {
        "int": "a whole number",
        "string": "text in quotes",
        "bool": "true or false",
        "list": "a list [..]",
        "dict": "a table",
        "model": "a table",
        "model_attributes": "a table",
        "decimal": "a number",
    }
    noun = expected.get(kind.removesuffix("_type"))
    if noun:
        return f"must be {noun}"
    limits = [
        f"{sign} {context[name]}"
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"), ("multiple_of", "a multiple of"))
        if name in context
    ]
    if limits:
        return f"is out of range: must be {' and '.join(limits)}"
    if "min_length" in context:
        return f"is too short: at least {context['min_length']}"
    if "max_length" in context:
        return f"is too long: at most {context['max_length']}"
    return f"is not valid ({kind.replace('_', ' ')})"


def toml_value(value: object) -> str:
    """A value as it would be written in TOML, cut to a readable length."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value[:60].encode("unicode_escape").decode() + ("..." if len(value) > 60 else "") + '"'
    return str(value)


def dotted(key: Key) -> str:
    """('device', 2, 'points', 1) -> device[2].points[1]"""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _follow(model: Any, loc: Key, data: Any) -> tuple[Key, Any, list[str]]:
    """Walk a pydantic location through model and data: the path in the file, the field, and the keys known around it.

    pydantic puts the tag of a chosen union member into the location; the file knows nothing of it, so it is left out.
    """
    key: list[str | int] = []
    field, known, kind = None, [], model
    for at, part in enumerate(loc):
        kind = _plain(kind)
        members = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else ()
        if members and isinstance(part, str) and not (isinstance(data, dict) and part in data and at == len(loc) - 1):
            tagged = [
                m
                for m in members
                if isinstance(m, type)
                and issubclass(m, pydantic.BaseModel)
                and part in typing.get_args(m.model_fields["kind"].annotation)
            ]
            if tagged:
                kind = tagged[0]
                continue
        key.append(part)
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            fields = {f.alias or n: f for n, f in kind.model_fields.items()}
            known = list(fields)
            field = fields.get(str(part))
            kind = field.annotation if field else None
        else:
            field = field if isinstance(part, int) else None
            kind = (typing.get_args(kind) or (None,))[-1]
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return tuple(key), field, known


def _plain(kind: Any) -> Any:
    """Strip Annotated and `| None`."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [m for m in typing.get_args(kind) if m is not type(None)]
        if len(members) == 1:
            return _plain(members[0])
    return kind


def again(source: Source, block: str, name: str, index: int, first: int, value: str) -> Problem:
    where = source.line((block, first, name))
    return source.problem(
        (block, index, name), f"the {name} '{value}' is already taken (line {where})", "names must be unique"
    )
