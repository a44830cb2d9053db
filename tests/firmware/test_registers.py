"""acquire.registers against struct and fractions.Fraction."""

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.acquire import registers
from gateway.core import quality

FORMATS = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q", "f32": "f", "f64": "d"}
LIMIT = 2**63 - 1
INVALID = (0, quality.pack(quality.BAD, quality.INVALID))
OVERFLOW = (0, quality.pack(quality.BAD, quality.OVERFLOW))


def on_the_wire(data, order):
    """Big-endian bytes as registers in this order of words."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    return b"".join(words if order == "big" else words[::-1])


@given(
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from(["big", "little"]),
    st.binary(min_size=8, max_size=8),
    st.integers(1, 1000),
    st.integers(-6, 6),
    st.binary(max_size=5),
)
@example("s16", "big", b"\x80\x00" * 4, 1, 0, b"")
@example("s32", "little", b"\x80" + bytes(7), 1, 0, b"")
@example("s64", "big", b"\xff" * 8, 1, 0, b"")
@example("u64", "big", b"\xff" * 8, 1, 0, b"")
@example("f32", "little", b"\x7f\x80\x00\x00" * 2, 1, 0, b"x")
@example("f64", "little", b"\x7f\xef" + b"\xff" * 6, 1, 0, b"x")
@example("f64", "big", b"\xff\xf0" + bytes(6), 1, 0, b"")  # an infinity
@example("f64", "big", b"\xc0\x93\x4a" + bytes(5), 1, 1, b"")  # -1234.5
@example("f32", "big", b"\xc4\x9a\x50\x00" * 2, 1, 1, b"")  # -1234.5
def test_decode(kind, order, data, m, shift, before):
    size = struct.calcsize(">" + FORMATS[kind])
    buf = bytearray(before + on_the_wire(data[:size], order) + b"\xaa\x55")
    value = struct.unpack(">" + FORMATS[kind], data[:size])[0]
    if not math.isfinite(value):
        wanted = INVALID
    else:
        mantissa = round(Fraction(value) * m * Fraction(10) ** shift)
        wanted = (mantissa, 0) if abs(mantissa) <= LIMIT else OVERFLOW
    assert registers.decode(buf, len(before), kind, order, m, shift, []) == wanted


@pytest.mark.parametrize("kind", sorted(FORMATS))
@pytest.mark.parametrize("order", ["big", "little"])
def test_the_devices_own_mark_for_no_value(kind, order):
    size = struct.calcsize(">" + FORMATS[kind])
    pattern = 0x8001_2003_4005_6007 >> (64 - 8 * size)
    buf = on_the_wire(pattern.to_bytes(size, "big"), order)
    assert registers.decode(buf, 0, kind, order, 1, 0, [0, pattern]) == INVALID
    assert registers.decode(buf, 0, kind, order, 1, 0, [0, pattern + 1]) != INVALID


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.binary(max_size=3))
def test_bits(bits, before):
    packed = sum(bit << i for i, bit in enumerate(bits)).to_bytes((len(bits) + 7) // 8, "little")
    buf = bytearray(before + packed)
    assert [registers.decode_bit(buf, len(before), i) for i in range(len(bits))] == [(int(bit), 0) for bit in bits]
