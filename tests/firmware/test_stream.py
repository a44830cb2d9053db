"""acquire.stream: frames of a sensor, found again after any garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.acquire.pushed.stream import Frames
from gateway.core import quality
from gateway.core.errors import SettingError

DISTANCE = [0, 1, "u16", "ABCD", 1, 0, []]


def frame(distance):
    body = bytes((0xFF, distance // 256, distance % 256))
    return body + bytes((sum(body) % 256,))


def heard(*pieces):
    frames = Frames([0xFF], 4, "sum8")
    for piece in pieces:
        frames.feed(bytearray(piece) + frame(1), len(piece))
    return frames


def test_the_frame_of_the_wiki():
    frames = heard(bytes.fromhex("FF07A1A7"))  # DFRobot, SEN0311
    assert frames.value(DISTANCE) == (1953, 0)
    assert (frames.good, frames.checksum, frames.skipped) == (1, 0, 0)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ([0, 1, "u16", "ABCD", 1, -1, []], (195, 0)),
        ([0, 1, "u16", "ABCD", -25, 3, []], (-48825000, 0)),
        ([0, 1, "u16", "BADC", 1, 0, []], (0xA107, 0)),
        ([0, 1, "s16", "BADC", 1, 0, []], (0xA107 - 0x10000, 0)),
        ([0, 1, "u16", "ABCD", 1, 0, [0x07A1]], (0, quality.pack(quality.BAD, quality.INVALID))),
        ([0, 2, "u16", "ABCD", 1, 0, []], (0xA1A7, 0)),
        ([0, 0, "u32", "CDAB", 1, 0, []], (0xA1A7FF07, 0)),
        ([0, 3, "u16", "ABCD", 1, 0, []], (0, quality.pack(quality.BAD, quality.SHORT))),
    ],
)
def test_fields(field, expected):
    assert heard(frame(1953)).value(field) == expected


def test_another_checksum_is_refused():
    with pytest.raises(SettingError):
        Frames([0xFF], 4, "crc8")


distances = st.integers(0, 65535)
noises = st.lists(st.one_of(distances.map(frame), st.binary(max_size=6)), max_size=20).map(b"".join)


@given(noises, st.lists(st.integers(0, 200), max_size=10))
def test_bytes_never_raise_and_how_they_are_cut_does_not_matter(data, cuts):
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    one = heard(data)
    other = heard(*(data[start:end] for start, end in zip(places, places[1:], strict=False)))
    assert one.value(DISTANCE) == other.value(DISTANCE)
    state = [(f.good, f.checksum, f.skipped, f.under_way) for f in (one, other)]
    assert state[0] == state[1]
    one.gap()
    assert 4 * one.good + one.skipped == len(data)  # every byte is accounted for


@given(st.binary(max_size=40), distances)
def test_after_any_garbage_the_third_frame_counts_at_the_latest(garbage, distance):
    frames = heard(garbage, frame(distance), frame(distance))
    before = frames.good
    assert frames.feed(frame(distance), 4) + before >= 1
    frames.gap()
    frames.feed(frame(4500), 4)
    assert frames.value(DISTANCE) == (4500, 0)


@given(distances, st.integers(0, 31))
def test_no_flipped_bit_gives_a_good_frame(distance, bit):
    data = bytearray(frame(distance))
    data[bit // 8] ^= 1 << bit % 8
    assert heard(data).good == 0


@given(st.lists(st.integers(30, 4500), min_size=1, max_size=5))
def test_a_steady_stream_loses_nothing(seen):
    frames = Frames([0xFF], 4, "sum8")
    for distance in seen:
        assert frames.feed(frame(distance), 4) == 1
        assert frames.value(DISTANCE) == (distance, 0)
    assert (frames.good, frames.checksum, frames.skipped) == (len(seen), 0, 0)


def test_longer_headers_and_what_is_counted():
    frames = Frames([0x59, 0x59], 9, "sum8")  # as the TF-Luna's
    body = bytes((0x59, 0x59, 1, 2, 3, 4, 5, 6))
    data = b"\x59" + body + bytes((sum(body) % 256,)) + b"\x59\0" + body + b"\0"
    assert frames.feed(data, len(data)) == 1
    assert frames.value([0, 2, "u16", "BADC", 1, 0, []]) == (0x0201, 0)
    assert (frames.checksum, frames.skipped) == (2, 3 + 9)  # the header and one 59 more look like a header, too
    assert frames.errors() == ((quality.CRC, 2),)
