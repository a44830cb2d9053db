"""Rows as a CSV or Parquet file: values exact, the file whole or not there at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..core.problems import Problem, Problems
from ..payloads.senml_json import number
from .rows import Row, time_text

COLUMNS = [
    "gateway",
    "stream",
    "unit",
    "time",
    "value",
    "quality",
    "reason",
    "ep",
    "sq",
    "placed",
    "time_source",
]  # docs/data-team.md explains them
SUFFIXES = (".csv", ".parquet")


def check_target(path: Path, force: bool) -> None:
    """Raises Problems when the file cannot or must not be written: better before an hour of collecting than behind it."""
    if path.suffix not in SUFFIXES:
        raise Problems(
            [Problem(path, None, "", f"no kind of file that I write: '{path.suffix}'", "use .csv or .parquet")]
        )
    if path.is_dir() or not path.parent.is_dir():
        what = "this is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise Problems([Problem(path, None, "", what, "name a file in a folder that exists")])
    if path.exists() and not force:
        raise Problems(
            [Problem(path, None, "", "the file exists already", "take another name, or --force to replace it")]
        )
    if not os.access(path.parent, os.W_OK):
        raise Problems([Problem(path, None, "", "the folder is not writable")])
    if path.suffix == ".parquet":
        _arrow(path)


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write the rows, return how many. A crash leaves what was there before. Raises Problems."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        count = (_write_csv if path.suffix == ".csv" else _write_parquet)(temporary, rows)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        hint = "is the folder writable, and is there space?"
        raise Problems(
            [Problem(path, None, "", f"the file cannot be written: {error.strerror or error}", hint)]
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _write_csv(path: Path, rows: Iterable[Row]) -> int:
    count = 0
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            value = "" if row.value is None else number(row.value)
            where = (row.gateway, row.stream, row.unit, time_text(row.time_ms), value)
            writer.writerow((*where, row.quality, row.reason, row.epoch, row.seq, row.placed, row.time_source))
            count += 1
    return count


def _arrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        hint = "pip install 'satama[collect]', or write a .csv"
        raise Problems([Problem(path, None, "", "Parquet needs the package pyarrow", hint)]) from None
    return pyarrow, pyarrow.parquet


def _write_parquet(path: Path, rows: Iterable[Row]) -> int:
    arrow, parquet = _arrow(path)
    kept = list(rows)
    values = [None if row.value is None else Decimal(row.value) for row in kept]
    kind = value_type(arrow, values)
    if kind == arrow.string():
        values = [None if value is None else number(value) for value in values]
    word = arrow.dictionary(arrow.int32(), arrow.string())
    columns = {
        "gateway": arrow.array([row.gateway for row in kept], word),
        "stream": arrow.array([row.stream for row in kept], word),
        "unit": arrow.array([row.unit for row in kept], word),
        "time": arrow.array([row.time_ms for row in kept], arrow.timestamp("ms", tz="UTC")),
        "value": arrow.array(values, kind),
        "quality": arrow.array([row.quality for row in kept], word),
        "reason": arrow.array([row.reason for row in kept], word),
        "ep": arrow.array([row.epoch for row in kept], arrow.int64()),
        "sq": arrow.array([row.seq for row in kept], arrow.int64()),
        "placed": arrow.array([row.placed for row in kept], word),
        "time_source": arrow.array([row.time_source for row in kept], word),
    }
    parquet.write_table(arrow.table(columns), path)
    return len(kept)


def value_type(arrow: Any, values: Iterable[Decimal | None]) -> Any:
    """The smallest exact type that holds all: decimal128, decimal256, or text where not even that has the digits."""
    whole, scale = 1, 0
    for value in values:
        if value is not None:
            scale = max(scale, -value.as_tuple().exponent)
            whole = max(whole, value.adjusted() + 1)
    if whole + scale <= 38:
        return arrow.decimal128(38, scale)
    return arrow.decimal256(76, scale) if whole + scale <= 76 else arrow.string()
