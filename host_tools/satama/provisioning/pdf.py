"""A PDF of a few pages with text and rectangles: ISO 32000-1, the standard font Courier, nothing embedded.

Lengths are points (1/72 inch), from the lower left corner of the page. A character of Courier is 0.6 of its size wide.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

POINTS_PER_MM = 72 / 25.4
COURIER_WIDTH = 0.6
_PLAIN, _BOLD = "F1", "F2"


class Page:
    """Of `width` by `height`; what is drawn is drawn in the order of the calls, black on white."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._drawn: list[bytes] = []

    def text(self, x: float, y: float, size: float, text: str, bold: bool = False) -> None:
        """`y` is the base line. What is not in Windows-1252 becomes a question mark."""
        font = _BOLD if bold else _PLAIN
        where = f"BT /{font} {_number(size)} Tf {_number(x)} {_number(y)} Td (".encode()
        self._drawn.append(where + _escaped(text) + b") Tj ET")

    def fill(self, rectangles: Iterable[tuple[float, float, float, float]]) -> None:
        """(x, y, width, height) of each."""
        lines = [" ".join(map(_number, one)) + " re" for one in rectangles]
        if lines:
            self._drawn.append("\n".join([*lines, "f"]).encode())

    def content(self) -> bytes:
        return b"\n".join(self._drawn)


def write_pdf(pages: list[Page], title: str) -> bytes:
    """The whole file. The same pages give the same bytes."""
    first = 6  # objects before it: catalogue, list of pages, two fonts, information
    numbers = [first + 2 * at for at in range(len(pages))]
    kids = " ".join(f"{number} 0 R" for number in numbers)
    fonts = [
        f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()
        for name in ("Courier", "Courier-Bold")
    ]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        *fonts,
        b"<< /Title <" + ("\ufeff" + title).encode("utf-16-be").hex().encode() + b"> /Producer (satama) >>",
    ]
    for number, page in zip(numbers, pages, strict=True):
        content = page.content()
        box = f"[0 0 {_number(page.width)} {_number(page.height)}]"
        resources = f"<< /Font << /{_PLAIN} 3 0 R /{_BOLD} 4 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Resources {resources} /Contents {number + 1} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream")
    return _file(objects)


def plain(text: str) -> str:
    """With each accent in its letter, as files of macOS have them apart; blanks that do not break are blanks."""
    return unicodedata.normalize("NFC", text).replace("\u00a0", " ").replace("\u202f", " ")


def is_shown(text: str) -> bool:
    """Can all of it be printed?"""
    return all(_letter(c) for c in plain(text))


def _file(objects: list[bytes]) -> bytes:
    """Header, objects from 1 on, and the table of where each of them begins."""
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\n" % (len(objects) + 1)
    out += b"startxref\n%d\n%%%%EOF\n" % table
    return bytes(out)


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> bytes:
    """As a literal string."""
    letters = b"".join(_letter(c) or b"?" for c in text)
    return letters.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _letter(character: str) -> bytes:
    """As /WinAnsiEncoding has it, which is Windows-1252; empty where that has none."""
    return character.encode("cp1252", "ignore") if character.isprintable() else b""
