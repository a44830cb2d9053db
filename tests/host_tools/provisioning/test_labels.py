"""Labels: what the QR code says, and PDF files that are sound, read by a small reader that knows nothing of the writer."""

import re
import zlib

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from satama.core.problems import Wrong
from satama.provisioning import labels
from satama.provisioning.label_files import parse_sheet
from satama.provisioning.labels import Label, Sheet
from satama.provisioning.pdf import Page, write_pdf

LABEL = Label("kalasatama", "cab-07", "24:0a:c4:12:34:56", ("Parrulaituri 4, sähkökaappi (B)", "pole 12"))
MM = 72 / 25.4


def objects(data):
    """Number -> content, found by the cross-reference table; ISO 32000-1 section 7.5."""
    assert data.startswith(b"%PDF-1.4\n") and data.endswith(b"%%EOF\n")
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)[1])
    head = re.match(rb"xref\n0 (\d+)\n", data[start:])
    count, at = int(head[1]), start + head.end()
    rows = [data[at + 20 * n : at + 20 * (n + 1)] for n in range(count)]
    assert rows[0] == b"0000000000 65535 f \n" and data[at + 20 * count :].startswith(b"trailer")
    assert re.search(rb"/Size (\d+)", data[at:])[1] == b"%d" % count
    found = {}
    for number, row in enumerate(rows[1:], 1):
        place = int(re.fullmatch(rb"(\d{10}) 00000 n \n", row)[1])
        head = b"%d 0 obj\n" % number
        assert data[place : place + len(head)] == head
        found[number] = data[place + len(head) : data.index(b"\nendobj\n", place)]
    return found


def pages(data):
    """(width, height, content) of each page, in order."""
    found = objects(data)
    kids = re.search(rb"/Kids \[(.*?)\]", found[2])[1]
    numbers = [int(number) for number in re.findall(rb"(\d+) 0 R", kids)]
    assert re.search(rb"/Count (\d+)", found[2])[1] == b"%d" % len(numbers)
    result = []
    for number in numbers:
        page = found[number]
        box = [float(part) for part in re.search(rb"/MediaBox \[(.*?)\]", page)[1].split()]
        stream = found[int(re.search(rb"/Contents (\d+) 0 R", page)[1])]
        length = int(re.match(rb"<< /Length (\d+) >>\nstream\n", stream)[1])
        content = stream[stream.index(b"stream\n") + 7 :]
        assert content[length:] == b"\nendstream"
        result.append((box[2], box[3], content[:length]))
    return result


def texts(content):
    """(x, y, size, text) of all that is written."""
    found = re.findall(rb"/F\d ([\d.]+) Tf ([-\d.]+) ([-\d.]+) Td \(((?:[^\\()]|\\.)*)\) Tj", content)
    return [
        (float(x), float(y), float(size), re.sub(rb"\\(.)", rb"\1", text).decode("cp1252"))
        for size, x, y, text in found
    ]


def rectangles(content):
    return [tuple(map(float, row)) for row in re.findall(rb"([-\d.]+) ([-\d.]+) ([-\d.]+) ([-\d.]+) re", content)]


def drawn_modules(boxes):
    """The QR code as rows of 0 and 1, by asking each rectangle what it covers."""
    size = min(height for *_, height in boxes)
    left, top = min(x for x, *_ in boxes), max(y + height for _, y, _, height in boxes)
    side = max(x + width for x, _, width, _ in boxes) - left
    count = round(side / size)
    dark = set()
    for x, y, width, height in boxes:
        row = round((top - y - height) / size)
        dark |= {(row, round((x - left) / size) + n) for n in range(round(width / size))}
    return [[int((row, column) in dark) for column in range(count)] for row in range(count)]


def png_modules(data, scale, border):
    """The dark modules of a black and white PNG (RFC 2083)."""
    at, body, head = 8, b"", None
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunk = data[at + 8 : at + 8 + length]
        head = chunk if kind == b"IHDR" else head
        body += chunk if kind == b"IDAT" else b""
        at += 12 + length
    width, depth, color = int.from_bytes(head[:4], "big"), head[8], head[9]
    assert (depth, color) == (1, 0)
    stride = (width + 7) // 8
    plain = zlib.decompress(body)
    rows = [plain[n * (stride + 1) : (n + 1) * (stride + 1)] for n in range(width)]
    above, bits = bytes(stride), []
    for row in rows:
        assert row[0] in (0, 2)  # filters None and Up
        above = bytes((b + up) & 255 for b, up in zip(row[1:], above, strict=True)) if row[0] else row[1:]
        bits.append([above[x // 8] >> (7 - x % 8) & 1 for x in range(width)])
    return [[1 - bit for bit in row[border * scale :: scale][: len(row) // scale - 2 * border]]
            for row in bits[border * scale :: scale][: width // scale - 2 * border]]  # fmt: skip


def test_the_code_says_who_it_is_and_nothing_else():
    assert LABEL.code == "satama:1:240ac4123456:kalasatama/cab-07"
    assert labels.qr(LABEL).error in "MQH"


def test_the_picture_and_the_page_show_that_code():
    wanted = [list(row) for row in segno.make_qr(LABEL.code, error="m").matrix]
    assert png_modules(labels.png(LABEL), scale=10, border=4) == wanted
    [(width, height, content)] = pages(labels.pdf(LABEL))
    assert (round(width / MM), round(height / MM)) == (70, 37)
    assert drawn_modules(rectangles(content)) == wanted


def test_people_read_the_same_beside_it():
    [(width, height, content)] = pages(labels.pdf(LABEL))
    said = " ".join(text for *_, text in texts(content))
    assert said == "cab-07 Parrulaituri 4, sähkökaappi (B) pole 12 kalasatama 24:0a:c4:12:34:56"
    sizes = [size for _, _, size, _ in texts(content)]
    assert sizes[0] == 14 and max(sizes[1:]) < 14  # the gateway's name is read from afar
    boxes = rectangles(content)
    module = min(h for *_, h in boxes)
    white = 4 * module - 0.01
    assert min(x for x, *_ in boxes) >= white and min(y for _, y, *_ in boxes) >= white
    right_of_code = white + max(x + w for x, _, w, _ in boxes)
    for x, y, size, text in texts(content):
        assert right_of_code <= x and x + 0.6 * size * len(text) <= width and 0 < y < height - size * 0.7


def test_what_is_long_is_printed_smaller_and_what_has_no_room_is_seen_to_be_cut():
    long = Label("s" * 32, "g" * 32, LABEL.mac, ("Työpajankatu 13, sisäpihan sähkökaappi, ovi B, avain huollossa 7",))
    [(_, _, content)] = pages(labels.pdf(long))
    said = [text for *_, text in texts(content)]
    assert "".join(said).replace(" ", "") == "".join(["g" * 32, *long.lines, "s" * 32, long.mac]).replace(" ", "")
    assert texts(content)[-1][2] > 5.5
    [(_, _, content)] = pages(labels.sheet_pdf([long], Sheet(14, 4)))
    said = [text for *_, text in texts(content)]
    assert said[-2].endswith("…") and said[-1] == long.mac and "".join(said).startswith("g" * 32)


@settings(max_examples=60)
@given(
    st.text("abcdefghij-_.:9", min_size=1, max_size=32),
    st.text(min_size=0, max_size=80),
    st.integers(1, 14),
    st.integers(1, 5),
)
def test_nothing_leaves_its_label_whatever_stands_on_it(gateway, location, rows, columns):
    """The line with the MAC is always there: it tells boards apart."""
    label, sheet = Label("k" * 32, gateway, LABEL.mac, (location, "x" * 80)), Sheet(rows, columns)
    [(_, height, content)] = pages(labels.sheet_pdf([label], sheet))
    box_width, box_height = (mm * MM for mm in sheet.size_mm)
    for x, y, size, text in texts(content):
        assert x > 0 and x + 0.6 * size * len(text) < box_width + 0.1
        assert height - box_height < y < height - size * 0.5
    assert texts(content)[-1][3] == LABEL.mac
    wanted = [list(row) for row in labels.qr(label).matrix]
    assert drawn_modules(rectangles(content)) == wanted


def test_a_sheet_is_filled_row_by_row_behind_what_is_used():
    several = [Label("s", f"cab-{n}", LABEL.mac) for n in range(30)]
    first, second = pages(labels.sheet_pdf(several, Sheet(8, 3, used=2)))
    assert (round(first[0] / MM), round(first[1] / MM)) == (210, 297)
    places = {t: (x, y) for x, y, _, t in texts(first[2]) if t.startswith("cab-")}
    assert len(places) == 22 and sum(t.startswith("cab-") for *_, t in texts(second[2])) == 8
    assert places["cab-0"][0] > 140 * MM and places["cab-1"][0] < 70 * MM and places["cab-1"][1] < places["cab-0"][1]
    assert places["cab-0"][1] > first[1] - 37.2 * MM


@pytest.mark.parametrize(
    ("text", "used", "said"),
    [
        ("8", 0, "does not say how many"),
        ("0x3", 0, "at least one row"),
        ("20x3", 0, "no room for a QR code"),
        ("8x9", 0, "no room for a QR code"),
        ("8x3", 24, "more than the sheet has"),
    ],
)
def test_a_sheet_that_cannot_be_is_refused(text, used, said):
    with pytest.raises(Wrong) as error:
        parse_sheet(text, used)
    assert said in error.value.what and error.value.hint


def test_the_most_that_a_hint_offers_is_taken():
    with pytest.raises(Wrong) as error:
        parse_sheet("99x1")
    rows, columns = re.search(r"at most (\d+) rows and (\d+) columns", error.value.hint).groups()
    parse_sheet(f"{rows}x{columns}")


def test_text_is_escaped_and_what_has_no_letter_becomes_a_question_mark():
    page = Page(100, 100)
    page.text(1, 1, 5, "a(b)\\c\nК\u20ac")
    [(_, _, content)] = pages(write_pdf([page], "(title)\\"))
    assert texts(content)[0][3] == "a(b)\\c??\u20ac"
    title = re.search(rb"/Title <feff([0-9a-f]+)>", objects(write_pdf([page], "(title) К€"))[5])
    assert bytes.fromhex(title[1].decode()).decode("utf-16-be") == "(title) К€"


def test_letters_that_come_in_two_parts_are_printed_as_one():
    """As macOS writes them; a blank that does not break is a blank."""
    [(_, _, content)] = pages(labels.pdf(Label("s", "cab", LABEL.mac, ("pa\u0308a\u0308ty\u00a04",))))
    assert "pääty 4" in [text for *_, text in texts(content)]


def test_the_same_labels_give_the_same_bytes():
    assert labels.pdf(LABEL) == labels.pdf(LABEL) and labels.png(LABEL) == labels.png(LABEL)
