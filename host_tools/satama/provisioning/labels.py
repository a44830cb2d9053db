"""Labels for boards: a QR code with who it is, and the same for people beside it. As PNG and PDF, and as a sheet of A4.

The QR code says `satama:1:MAC:SITE/GATEWAY`, such as satama:1:240ac4123456:kalasatama/cab-07: the version of this
text, the MAC address in 12 hex digits, and the levels of the MQTT topic under the root. No secret is on a label.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import segno

from ..core.problems import Wrong
from .pdf import COURIER_WIDTH, POINTS_PER_MM, Page, plain, write_pdf

SINGLE_MM = (70.0, 37.0)  # a usual label: 24 of them on a sheet of A4
A4_MM = (210.0, 297.0)
_PAD_MM = 4.0  # what a printer may miss of the outermost labels, and white around the code
_LEAST_QR_MM = 12.0  # with 25 to 41 modules these are 0.3 to 0.5 mm wide: what a phone reads
_BORDER = 4  # modules that stay white around a code, by ISO/IEC 18004
_PNG_SCALE = 10  # pixels a module
_LARGEST, _LEAST = 14.0, 5.0  # points of a letter
_LEAST_TEXT_MM = len("24:0a:c4:12:34:56") * COURIER_WIDTH * _LEAST / POINTS_PER_MM


@dataclass(frozen=True)
class Label:
    """`mac` as 24:0a:c4:12:34:56; `lines`: what else is printed, such as the location."""

    site: str
    gateway: str
    mac: str
    lines: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """What the QR code says."""
        return f"satama:1:{self.mac.replace(':', '')}:{self.site}/{self.gateway}"


@dataclass(frozen=True)
class Sheet:
    """A page of A4 divided into labels of one size, inside a margin; the first `used` places stay empty."""

    rows: int = 8
    columns: int = 3
    margin_mm: float = 0.0
    used: int = 0

    @property
    def size_mm(self) -> tuple[float, float]:
        width, height = A4_MM
        return (width - 2 * self.margin_mm) / self.columns, (height - 2 * self.margin_mm) / self.rows

    def check(self) -> None:
        """Raises Wrong when no label can be printed so."""
        if self.rows < 1 or self.columns < 1 or self.margin_mm < 0 or self.used < 0:
            raise Wrong("a sheet needs at least one row and one column", "8x3 are 24 labels of 70 x 37 mm")
        width, height = self.size_mm
        if _code_mm(width, height) < _LEAST_QR_MM:
            what = f"labels of {width:.0f} x {height:.0f} mm have no room for a QR code that a phone can read"
            raise Wrong(what, f"at most {_most_rows(self.margin_mm)} rows and {_most_columns(self.margin_mm)} columns")
        if self.used >= self.rows * self.columns:
            raise Wrong(f"{self.used} labels are more than the sheet has", f"it has {self.rows * self.columns}")


def _code_mm(width_mm: float, height_mm: float) -> float:
    """Side of the QR code in a label of that size: text has half of it, and never less than a MAC address needs."""
    return min(height_mm - 2 * _PAD_MM, (width_mm - 3 * _PAD_MM) / 2, width_mm - 3 * _PAD_MM - _LEAST_TEXT_MM)


def _most_rows(margin_mm: float) -> int:
    return int((A4_MM[1] - 2 * margin_mm) // (_LEAST_QR_MM + 2 * _PAD_MM))


def _most_columns(margin_mm: float) -> int:
    least = max(2 * _LEAST_QR_MM, _LEAST_QR_MM + _LEAST_TEXT_MM) + 3 * _PAD_MM
    return int((A4_MM[0] - 2 * margin_mm) // least)


def qr(label: Label) -> segno.QRCode:
    """Error correction M at least: 15 % of it may be scratched off."""
    return segno.make_qr(label.code, error="m")


def png(label: Label) -> bytes:
    """The QR code alone."""
    out = io.BytesIO()
    qr(label).save(out, kind="png", scale=_PNG_SCALE, border=_BORDER)
    return out.getvalue()


def pdf(label: Label) -> bytes:
    """One label on a page of its own size."""
    width, height = (mm * POINTS_PER_MM for mm in SINGLE_MM)
    page = Page(width, height)
    _draw(page, label, 0, 0, width, height)
    return write_pdf([page], f"{label.site}/{label.gateway}")


def sheet_pdf(labels: Iterable[Label], sheet: Sheet = Sheet()) -> bytes:
    """All labels on as many pages of A4 as they need, row by row. Raises Wrong when the sheet is of no use."""
    sheet.check()
    width, height = (mm * POINTS_PER_MM for mm in sheet.size_mm)
    margin, (page_width, page_height) = sheet.margin_mm * POINTS_PER_MM, (mm * POINTS_PER_MM for mm in A4_MM)
    pages: list[Page] = []
    for place, label in enumerate(labels, sheet.used):
        number, at = divmod(place, sheet.rows * sheet.columns)
        while len(pages) <= number:
            pages.append(Page(page_width, page_height))
        row, column = divmod(at, sheet.columns)
        _draw(pages[number], label, margin + column * width, page_height - margin - (row + 1) * height, width, height)
    return write_pdf(pages or [Page(page_width, page_height)], "labels")


def _draw(page: Page, label: Label, x: float, y: float, width: float, height: float) -> None:
    """Into the box whose lower left corner is (x, y): the code on the left, text beside it."""
    pad = _PAD_MM * POINTS_PER_MM
    side = _code_mm(width / POINTS_PER_MM, height / POINTS_PER_MM) * POINTS_PER_MM
    side = min(side, len(qr(label).matrix) * pad / _BORDER)
    bottom = y + (height - side) / 2
    page.fill(_modules(label, x + pad, bottom, side))
    left = x + 2 * pad + side
    lines = _lines(label, x + width - pad - left, side)
    used = sum(size * 1.25 for _, size, _ in lines)
    base = bottom + (side + used) / 2
    for text, size, bold in lines:
        base -= size * 1.25
        page.text(left, base + size * 0.3, size, text, bold)


def _modules(label: Label, x: float, y: float, side: float) -> Iterable[tuple[float, float, float, float]]:
    """The dark modules, those beside each other in one rectangle."""
    rows = [bytes(row) for row in qr(label).matrix]
    module = side / len(rows)
    for at, row in enumerate(rows):
        top = y + side - (at + 1) * module
        start = None
        for column, dark in enumerate([*row, 0]):
            if dark and start is None:
                start = column
            elif not dark and start is not None:
                yield x + start * module, top, (column - start) * module, module
                start = None


def _lines(label: Label, width: float, height: float) -> list[tuple[str, float, bool]]:
    """(text, size, bold) of each line: gateway, what else is given, site, MAC. As large as the box has room for, or cut off."""
    texts = [label.gateway, *filter(None, label.lines), label.site, label.mac]
    size = _LARGEST
    while True:
        most = max(1, int(width / (size * COURIER_WIDTH) + 1e-6))
        name, *others = (_wrap(plain(text), most) for text in texts)
        room = int(height / (size * 1.25))
        lines = [*name, *(line for other in others for line in other)]
        whole = len(name) <= 2 and len(others[-1]) == 1  # in more pieces nobody reads a name or a MAC address
        if (whole and len(lines) <= room) or size <= _LEAST:
            shown = [(line, size, at < len(name)) for at, line in enumerate(_cut(lines, room))]
            return [_enlarged(shown, width, height), *shown[1:]]
        size -= 0.5


def _cut(lines: list[str], room: int) -> list[str]:
    """At most so many lines, the MAC address among them; what is missing is seen."""
    if len(lines) <= room:
        return lines
    return [*lines[: room - 2], lines[room - 2][:-1] + "…", lines[-1]]


def _enlarged(lines: list[tuple[str, float, bool]], width: float, height: float) -> tuple[str, float, bool]:
    """The first line, the gateway's name, as large as there is room: it is read from afar."""
    text, size, bold = lines[0]
    left = height / 1.25 - sum(size for _, size, _ in lines[1:])
    return text, max(size, min(_LARGEST, width / (len(text) * COURIER_WIDTH), left)), bold


def _wrap(text: str, most: int) -> list[str]:
    """At blanks where there are any, else anywhere."""
    lines, line = [], ""
    for word in text.split():
        while len(word) > most:
            if line:
                lines.append(line)
                line = ""
            lines.append(word[:most])
            word = word[most:]
        if line and len(line) + 1 + len(word) > most:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines
