"""Labels into files: of each board as PNG and PDF, of all of them as a sheet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..core.problems import Problem, Problems, Wrong
from ..core.whole_file import write_whole
from . import labels
from .labels import Label, Sheet
from .records import Records

SHEET_FILE = "labels.pdf"


def parse_sheet(text: str, used: int = 0, margin_mm: float = 0.0) -> Sheet:
    """ "8x3" are 8 rows of 3. Raises Wrong when there are none such, or no label can be printed so."""
    found = re.fullmatch(r"(\d{1,3})\s*[x*×]\s*(\d{1,3})", text.strip().lower())
    if not found:
        raise Wrong(f'--sheet "{text}" does not say how many', "rows x columns, such as 8x3")
    sheet = Sheet(int(found[1]), int(found[2]), margin_mm, used)
    sheet.check()
    return sheet


def label_of(row: dict[str, Any]) -> Label:
    """Of a line of the record."""
    lines = tuple(row.get(name, "") for name in ("location", "label") if row.get(name))
    return Label(row["site"], row["gateway"], row["mac"], lines)


def write_label(folder: Path, row: dict[str, Any]) -> list[Path]:
    """The label of one board, as PNG and PDF. Raises Problems."""
    label, name = label_of(row), row["gateway"].replace(":", "_")
    files = {folder / f"{name}.png": labels.png(label), folder / f"{name}.pdf": labels.pdf(label)}
    _write(folder, files)
    return list(files)


def write_sheet(folder: Path, rows: Iterable[dict[str, Any]], sheet: Sheet) -> Path:
    """All of them on paper. Raises Problems."""
    path = folder / SHEET_FILE
    _write(folder, {path: labels.sheet_pdf([label_of(row) for row in rows], sheet)})
    return path


def flashed_rows(records: Records, gateways: Iterable[str]) -> list[dict[str, Any]]:
    """The record's lines of those that are done and still what they became, in the order of the gateways."""
    rows = [records.flashed(gateway) for gateway in gateways]
    return [row for row in rows if row and row.get("mac") and row.get("site")]


def require_folder(folder: Path) -> None:
    """Make it, and see that labels can be written there. Raises Problems."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder cannot be made: {error.strerror}"
        raise Problems([Problem(folder, None, "", what, "another folder for the labels")]) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Problems([Problem(folder, None, "", "nothing can be written there", "another folder for the labels")])


def _write(folder: Path, files: dict[Path, bytes]) -> None:
    require_folder(folder)
    for path, content in files.items():
        write_whole(path, content)
