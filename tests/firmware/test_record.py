"""core.record, core.schema, core.varint: what goes in comes out, docs/FORMAT.md is what is written, and nothing damaged is believed."""

import re
import struct
import zlib
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import quality, record, record_reader, record_writer, schema, varint
from gateway.core.errors import FrameError

FORMAT = Path(__file__).parents[2] / "docs" / "FORMAT.md"
U32 = st.integers(0, 2**32 - 1)
LIMIT = 2**63 - 1
VALUES = st.one_of(st.integers(-200, 200), st.integers(-LIMIT, LIMIT), st.sampled_from([-LIMIT, LIMIT]))
MARKS = st.sampled_from([0, 0, 0, 0, 65, 127, 129, 191, record.ABSENT])
SCHEMAS = st.builds(
    lambda cls, period, streams, private: schema.Schema(
        cls, period, sorted(streams), [streams[i] for i in sorted(streams)], private
    ),
    st.integers(0, 127),
    st.integers(1, 86400),
    st.dictionaries(U32, st.integers(-40, 40), min_size=1, max_size=20),
    st.booleans(),
)


@st.composite
def series(draw):
    """Rounds of one schema, as a gateway makes them: numbers grow, the clock may do anything."""
    of = draw(SCHEMAS)
    seq, uptime_ms, rounds = 0, draw(st.integers(0, 2**42)), []
    for _ in range(draw(st.integers(1, 5))):
        seq += draw(st.integers(1, 300))
        uptime_ms += draw(st.integers(0, 10**6))
        values = draw(st.lists(VALUES, min_size=len(of.ids), max_size=len(of.ids)))
        marks = draw(st.lists(MARKS, min_size=len(of.ids), max_size=len(of.ids)))
        epoch = draw(st.sampled_from([3, 3, 3, 2**32 - 1]))
        synced, seconds = draw(st.booleans()), draw(U32)
        rounds.append(record.Round(of, epoch, seq, synced, seconds, uptime_ms, array("q", values), bytearray(marks)))
    return rounds


def said(round):
    """A round as plain values, without those that mean nothing."""
    samples = [(*sample[:2], sample[2] if sample[3] < 128 else None, sample[3]) for sample in round.samples()]
    return (round.schema.id, round.epoch, round.seq, round.synced, round.seconds, round.uptime_ms, samples)


def read(data, reader, at=0, end=None):
    return reader.read(bytearray(data), at, len(data) if end is None else end)


def reason(data, reader, at=0, end=None):
    with pytest.raises(FrameError) as caught:
        read(data, reader, at, end)
    return caught.value.reason


@given(series(), st.binary(max_size=4))
def test_rounds_come_back(rounds, before):
    writer, reader = record_writer.Writer(9), record_reader.Reader({rounds[0].schema.id: rounds[0].schema})
    data = bytearray(before)
    for round in rounds:
        data += writer.encode(round)
    at = len(before)
    for round in rounds:
        at, found = read(data, reader, at)
        assert said(found) == said(round)
    assert at == len(data)


@given(series())
def test_what_was_handed_in_is_not_changed(rounds):
    kept = [(list(round.values), bytes(round.marks)) for round in rounds]
    writer = record_writer.Writer(0)
    for round in rounds:
        writer.encode(round)
    assert kept == [(list(round.values), bytes(round.marks)) for round in rounds]


@given(series(), series())
def test_series_side_by_side_do_not_disturb_each_other(one, other):
    schemas = {rounds[0].schema.id: rounds[0].schema for rounds in (one, other)}
    writers, reader, data = [record_writer.Writer(0), record_writer.Writer(1)], record_reader.Reader(schemas), b""
    mixed = [pair for rounds in zip(one, other, strict=False) for pair in enumerate(rounds)]
    for slot, round in mixed:
        data += writers[slot].encode(round)
    at = 0
    for _, round in mixed:
        at, found = read(data, reader, at)
        assert said(found) == said(round)


@given(SCHEMAS)
def test_schemas_come_back_and_are_named_by_their_content(of):
    data = record_writer.encode_schema(of)
    schemas = {}
    at, found = read(data, record_reader.Reader(schemas))
    assert at == len(data) and schemas == {of.id: found}
    assert (found.cls, found.period, found.private) == (of.cls, of.period, of.private)
    assert list(found.ids) == list(of.ids) and list(found.exponents) == list(of.exponents)
    assert found.id == of.id == zlib.crc32(of.encode())


EVENTS = st.builds(
    record.Event,
    st.integers(0, 255),
    U32,
    U32,
    st.booleans(),
    U32,
    st.integers(0, 999),
    st.integers(0, 2**48),
    st.binary(max_size=300),
)


@given(EVENTS)
def test_events_come_back(event):
    data = record_writer.encode_event(event)
    at, found = read(data, record_reader.Reader({}))
    assert at == len(data) and vars(found) == vars(event)


# --- held against the page, by a reader made from it alone


def folded(value):
    return 2 * value if value >= 0 else -2 * value - 1


def number(value):
    out = []
    while True:
        value, low = divmod(value, 128)
        out.append(low | 128 if value else low)
        if not value:
            return bytes(out)


def framed(kind, body):
    head = number(5 + len(body)) + bytes([kind]) + body
    return head + struct.pack(">I", zlib.crc32(head))


def flaws(marks):
    """(flags, present and flawed) as the page has them."""
    flags, out = 0, b""
    if record.ABSENT in marks:
        flags |= 8
        bits = sum(1 << i for i, mark in enumerate(marks) if mark != record.ABSENT)
        out += bits.to_bytes((len(marks) + 7) // 8, "little")
    flawed = [i for i, mark in enumerate(marks) if 0 < mark < 255]
    if flawed:
        flags |= 16
        out += number(len(flawed))
        for before, i in zip([-1, *flawed], flawed, strict=False):
            out += number(i - before - 1) + bytes([marks[i]])
    return flags, out


@given(series())
def test_the_documented_layout(rounds):
    writer, last, before = record_writer.Writer(5), {}, None
    for round in rounds:
        flags, middle = flaws(round.marks)
        flags |= 4 * round.synced
        if before is None or before.epoch != round.epoch:
            last, kind = {}, 0
            body = b"\x05" + struct.pack(">I", round.schema.id) + number(round.epoch) + number(round.seq)
            body += struct.pack(">I", round.seconds) + number(round.uptime_ms)
        else:
            kind, later = 1, round.seconds - before.seconds
            body = b"\x05" + number(round.seq - before.seq) + number(folded(later))
            body += number(folded(round.uptime_ms - before.uptime_ms - 1000 * later))
        for i, mark in enumerate(round.marks):
            if mark < 128:
                middle += number(folded(round.values[i] - last.get(i, 0)))
                last[i] = round.values[i]
        assert writer.encode(round) == framed(kind | flags, body + middle)
        before = round


@given(EVENTS)
def test_the_documented_event(event):
    body = bytes([event.cls]) + number(event.epoch) + number(event.seq)
    body += struct.pack(">IH", event.seconds, event.ms) + number(event.uptime_ms) + event.body
    assert record_writer.encode_event(event) == framed(2 | 4 * event.synced, body)


def test_the_example_of_the_page():
    page = FORMAT.read_text()
    example = page[page.index("## An example") :]
    key, delta = (bytes.fromhex(line) for line in re.findall(r"^    ([0-9a-f ]+)$", example, re.M))
    of = schema.decode(bytes.fromhex(re.search("Bytes `([0-9a-f ]+)`", example)[1]), 0, 8)
    assert f"id 0x{of.id:08x}" in example
    reader = record_reader.Reader({of.id: of})
    _, first = read(key, reader)
    _, second = read(delta, reader)
    assert said(first)[1:] == (17, 5, True, 846_000_000, 61_005, [(1, -1, 231, 0), (3, 0, None, 129)])
    assert said(second)[1:] == (17, 7, True, 846_000_060, 121_003, [(1, -1, 230, 0), (3, 0, 4, 0)])


# --- damage


@given(series())
@settings(max_examples=30)
def test_no_flipped_bit_and_no_truncation_is_accepted(rounds):
    of, data = rounds[0].schema, record_writer.Writer(0).encode(rounds[0])
    known = {of.id: of}
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        for tail in (b"", b"\xff" * 300):
            assert reason(damaged + tail, record_reader.Reader(known)) in (quality.CRC, quality.SHORT)
    for length in range(len(data)):
        assert reason(data[:length], record_reader.Reader(known)) == quality.SHORT
        on_erased_flash = data[:length] + b"\xff" * (len(data) - length)
        if on_erased_flash != data:  # it is when only bytes of 0xFF are missing
            assert reason(on_erased_flash, record_reader.Reader(known)) in (quality.CRC, quality.SHORT)


@pytest.mark.parametrize("blank", [b"", b"\xff" * 4096, b"\x00" * 4096, b"\xff" * 5])
def test_erased_flash_is_no_record(blank):
    assert reason(blank, record_reader.Reader({})) == quality.SHORT


@given(st.binary(max_size=200), st.integers(0, 255))
def test_anything_is_refused_cleanly_even_with_a_right_checksum(body, kind):
    assert reason(body, record_reader.Reader({})) in (quality.CRC, quality.SHORT)
    of = schema.Schema(2, 60, [1, 3], [-1, 0])
    data = framed(kind, body)
    try:
        _, found = read(data, record_reader.Reader({of.id: of}))
    except FrameError as error:
        assert error.reason in (quality.INVALID, quality.NO_DATA)
    else:  # it happens to be one: then it is what would be written
        if isinstance(found, record.Event):
            assert kind & 3 == 2
        else:
            assert kind & 3 in (0, 3)


TWO = schema.Schema(2, 60, [1, 3], [-1, 0])
HEAD = struct.pack(">BIBBI", 0, TWO.id, 17, 5, 9) + b"\x07"


def test_the_parts_of_the_next_test_are_right():
    _, found = read(framed(0, HEAD + b"\x02\x04"), record_reader.Reader({TWO.id: TWO}))
    assert said(found)[1:] == (17, 5, False, 9, 7, [(1, -1, 1, 0), (3, 0, 2, 0)])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (0, b""),
        (0, HEAD[:4]),
        (0, HEAD[:9]),
        (0, HEAD),  # values missing
        (0, HEAD + b"\x02"),
        (0, HEAD + b"\x02\x04\x00"),  # something behind
        (0, HEAD + b"\x02" + b"\x80" * 9 + b"\x04"),  # beyond 64 bits
        (0, HEAD + b"\x02" + b"\x80" * 10 + b"\x01"),  # no number of ours
        (32, HEAD + b"\x02\x04"),  # a flag of a later format
        (8, HEAD),
        (16, HEAD),
        (16, HEAD + b"\x01\x00\x00\x02\x04"),  # flawed, but good
        (16, HEAD + b"\x01\x00\xc1\x02\x04"),  # a quality that is none
        (16, HEAD + b"\x01\x02\x41\x02\x04"),  # of a third stream
        (16, HEAD + b"\x03\x00\x41\x00\x41\x00\x41\x02\x04"),
        (24, HEAD + b"\x02\x01\x00\x41\x04"),  # flawed and absent
        (2, b"\x00\x01"),
        (3, b""),
        (3, b"\x02\x02\x3c\x01\x01\x00"),  # a later version
        (3, b"\x01\x02\x3c\x00"),  # no stream
        (3, b"\x01\x02\x3c\x01\x01\x52"),  # an exponent of 41
        (3, b"\x01\x02\x3c\x01\x01\x00\x00"),
        (3, b"\x01\x02\x3c\xc9\x01" + b"\x00" * 402),  # 201 streams
    ],
)
def test_an_intact_record_of_other_making_is_refused(kind, body):
    assert reason(framed(kind, body), record_reader.Reader({TWO.id: TWO})) == quality.INVALID


def rounds_of(count, values=lambda k: [k, 2 * k]):
    return [
        record.Round(TWO, 1, 1 + k, True, 60 * k, 60_000 * k, array("q", values(k)), bytearray(2)) for k in range(count)
    ]


def test_differences_without_what_they_differ_from_are_refused_until_the_next_key_frame():
    writer = record_writer.Writer(0)
    data = [writer.encode(round) for round in rounds_of(3)]
    writer.restart()
    data += [writer.encode(round) for round in rounds_of(5)[3:]]
    reader = record_reader.Reader({TWO.id: TWO})
    assert reason(data[1], reader) == quality.NO_DATA
    assert [read(piece, reader)[1].seq for piece in data[:2]] == [1, 2]
    reader.forget()  # the third was damaged
    assert reason(data[2], reader) == quality.NO_DATA
    assert [read(piece, reader)[1].seq for piece in data[3:]] == [4, 5]
    assert reason(data[0], record_reader.Reader({})) == quality.NO_DATA  # a schema nobody has told


def test_the_longest_round_fits_and_nothing_longer_is_written():
    count = schema.MOST_STREAMS
    of = schema.Schema(2, 60, [(i + 1) * (2**32 // count) - 1 for i in range(count)], [-40] * count)

    def round(k):
        values = [LIMIT if (i + k) % 2 else -LIMIT for i in range(count)]
        return record.Round(of, 2**32 - 1, k, True, 2**32 - 1, 2**42, array("q", values), bytearray([64] * count))

    writer = record_writer.Writer(0)
    for k in range(1, 3):
        assert len(writer.encode(round(k))) + len(record_writer.encode_schema(of)) < 4096 - 16 - 2
    with pytest.raises(FrameError) as caught:
        record_writer.encode_event(record.Event(0, 1, 1, True, 1, 0, 1, b"x" * 4000))
    assert caught.value.reason == quality.OVERFLOW


@given(st.integers(0, 2**70 - 1), st.integers(-(2**64), 2**64))
def test_varints(value, signed):
    out = bytearray()
    varint.put(out, value)
    varint.put_signed(out, signed)
    assert bytes(out) == number(value) + number(folded(signed))
    found, at = varint.get(out, 0, len(out))
    assert (found, varint.get_signed(out, at, len(out))) == (value, (signed, len(out)))
