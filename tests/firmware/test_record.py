"""journal.record: what goes in comes out, and nothing that is damaged does."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import quality
from gateway.core.errors import FrameError
from gateway.journal import record

U32 = st.integers(0, 2**32 - 1)
LIMIT = 2**63 - 1
GOOD_OR_UNCERTAIN = st.tuples(U32, st.integers(-LIMIT, LIMIT), st.integers(0, 127))
BAD = st.tuples(U32, st.just(0), st.integers(128, 191))
SAMPLES = st.lists(st.one_of(GOOD_OR_UNCERTAIN, BAD), max_size=12)
ROUNDS = st.tuples(st.integers(0, 15), U32, U32, st.booleans(), U32, st.integers(0, 2**48 - 1), SAMPLES)


def decode(data):
    return record.decode(bytearray(data), 0, len(data))


def reason(data, at=0, end=None):
    with pytest.raises(FrameError) as caught:
        record.decode(bytearray(data), at, len(data) if end is None else end)
    return caught.value.reason


@given(ROUNDS, st.binary(max_size=5), st.binary(max_size=5))
def test_round_trip(fields, before, behind):
    data = record.encode(*fields)
    buf = bytearray(before + data + behind)
    assert record.decode(buf, len(before), len(buf)) == (len(data), *fields)
    assert record.decode(memoryview(buf), len(before), len(before) + len(data)) == (len(data), *fields)


def varint(value):
    out = []
    while True:
        value, low = divmod(value, 128)
        out.append(low | 128 if value else low)
        if not value:
            return bytes(out)


@given(ROUNDS)
def test_the_documented_layout(fields):
    cls, epoch, seq, synced, seconds, uptime_ms, samples = fields
    body = b"".join(
        varint(stream_id) + bytes([q]) + (b"" if q >= 128 else varint(2 * m if m >= 0 else -2 * m - 1))
        for stream_id, m, q in samples
    )
    head = struct.pack(">H", 28 + len(body))
    rest = struct.pack(">BIII", cls | 0x80 * synced, epoch, seq, seconds) + uptime_ms.to_bytes(6, "big")
    rest += struct.pack(">H", len(samples)) + body
    assert record.encode(*fields) == head + b"\xff" + rest + struct.pack(">I", zlib.crc32(head + rest))


@given(ROUNDS)
def test_acknowledging_needs_no_rewriting(fields):
    data = record.encode(*fields)
    for acknowledgement in (0x7F, 0x01, 0x00):
        data[record.ACK_OFFSET] = acknowledgement
        assert decode(data) == (len(data), *fields)


@given(ROUNDS)
@settings(max_examples=30, deadline=None)
def test_no_flipped_bit_and_no_truncation_is_accepted(fields):
    data = record.encode(*fields)
    for bit in range(8 * len(data)):
        if bit >> 3 != record.ACK_OFFSET:
            damaged = bytearray(data)
            damaged[bit >> 3] ^= 1 << (bit & 7)
            assert reason(damaged) in (quality.CRC, quality.SHORT)
            assert reason(damaged + b"\xff" * 300) in (quality.CRC, quality.SHORT)
    for length in range(len(data)):
        assert reason(data[:length]) == quality.SHORT
        assert reason(data, 0, length) == quality.SHORT
        on_erased_flash = data[:length] + b"\xff" * (len(data) - length)
        if on_erased_flash != data:  # it is when only bytes of 0xFF are missing
            assert reason(on_erased_flash) in (quality.CRC, quality.SHORT)


@pytest.mark.parametrize("blank", [b"", b"\xff" * 4096, b"\x00" * 4096, b"\xff" * 27])
def test_erased_flash_is_no_record(blank):
    assert reason(blank) == quality.SHORT


@given(st.binary(max_size=200))
def test_anything_is_refused_cleanly(data):
    assert reason(data) in (quality.CRC, quality.SHORT)


def sealed(body, count=1, flags=2):
    """A record with a right CRC around anything."""
    head = struct.pack(">H", 28 + len(body))
    rest = struct.pack(">BIIIHIH", flags, 1, 2, 3, 0, 4, count) + body
    return head + b"\xff" + rest + struct.pack(">I", zlib.crc32(head + rest))


def test_sealed_is_right():
    assert decode(sealed(b"\x05\x00\x02")) == (31, 2, 1, 2, False, 3, 4, [(5, 1, 0)])


@pytest.mark.parametrize(
    "data",
    [
        sealed(b"\x05\x00\x02", flags=0x12),
        sealed(b"\x05\x00\x02", count=2),
        sealed(b"\x05\x00\x02", count=0),
        sealed(b"\x05\x00\x02\x00"),
        sealed(b"\x05"),
        sealed(b"\x85"),
        sealed(b"\x05\x00"),
        sealed(b"\x05\x00\x82"),
        sealed(b"\x05\xc0"),
        sealed(b"\x81\x81\x81\x81\x81\x01\x00\x02"),
        sealed(b"\x05\x00" + b"\x81" * 10 + b"\x01"),
    ],
)
def test_an_intact_record_of_other_making_is_refused(data):
    assert reason(data) == quality.INVALID


def test_a_record_that_would_be_too_long_is_refused():
    samples = [(2**32 - 1, LIMIT, 0)] * 4094
    assert len(record.encode(0, 1, 1, True, 0, 0, samples)) == 28 + 16 * 4094
    with pytest.raises(FrameError) as caught:
        record.encode(0, 1, 1, True, 0, 0, samples + samples[:1])
    assert caught.value.reason == quality.OVERFLOW
