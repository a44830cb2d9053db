"""acquire.registers against struct and fractions.Fraction."""

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.acquire.modbus import registers
from gateway.core import quality

FORMATS = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q", "f32": "f", "f64": "d"}
BCD = {"bcd16": 4, "bcd32": 8, "bcd64": 16}  # digits
BYTES = {kind: struct.calcsize(">" + code) for kind, code in FORMATS.items()} | {k: n // 2 for k, n in BCD.items()}
ORDERS = ["ABCD", "CDAB", "BADC", "DCBA"]
KINDS = sorted(BYTES)
LIMIT = 2**63 - 1


def bad(reason):
    return 0, quality.pack(quality.BAD, reason)


INVALID, OVERFLOW, SHORT = bad(quality.INVALID), bad(quality.OVERFLOW), bad(quality.SHORT)


def on_the_wire(data, order):
    """Bytes, most significant first, as they stand in registers of this order."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    return b"".join(word[::-1] if order in ("BADC", "DCBA") else word for word in words)


def field(kind, order="ABCD", offset=0, m=1, shift=0, invalid=(), more=None):
    made = [7, offset, kind, order, m, shift, list(invalid)]
    return made if more is None else [*made, more]


def encode(kind, value, order):
    if kind in BCD:
        return on_the_wire(bytes.fromhex(str(value).zfill(BCD[kind])), order)
    return on_the_wire(struct.pack(">" + FORMATS[kind], value), order)


def scaled(value, m, shift):
    mantissa = round(Fraction(value) * m * Fraction(10) ** shift)  # half-even
    return (mantissa, 0) if abs(mantissa) <= LIMIT else OVERFLOW


def values(kind):
    if kind in BCD:
        return st.integers(0, 10 ** BCD[kind] - 1)
    if kind[0] == "f":
        return st.floats(width=int(kind[1:]), allow_nan=False, allow_infinity=False)
    width = int(kind[1:])
    return st.integers(0, 2**width - 1) if kind[0] == "u" else st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1)


FIELDS = {"m": st.integers(-1000, 1000).filter(bool), "shift": st.integers(-9, 9), "offset": st.integers(0, 3)}


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), values(kind))), st.sampled_from(ORDERS),
       st.fixed_dictionaries(FIELDS), st.integers(0, 5))  # fmt: skip
@example(("s16", -(2**15)), "DCBA", {}, 0)
@example(("s32", -(2**31)), "CDAB", {}, 0)
@example(("s64", -1), "ABCD", {}, 0)
@example(("s64", -(2**63)), "ABCD", {}, 0)
@example(("u64", 2**64 - 1), "BADC", {}, 0)
@example(("u64", 2**63 - 1), "BADC", {}, 0)
@example(("f32", 3.4028234663852886e38), "ABCD", {"shift": -20}, 0)
@example(("f64", 5e-324), "CDAB", {"shift": 300}, 0)
@example(("f64", -0.0), "CDAB", {}, 0)
@example(("f64", 2.5), "ABCD", {}, 0)
@example(("bcd64", 10**16 - 1), "CDAB", {"shift": 3}, 0)
def test_what_was_encoded_is_decoded_exactly(encoded, order, fields, at):
    kind, number = encoded
    wire = bytes(2 * fields.get("offset", 0)) + encode(kind, number, order)
    buf = bytearray(b"\xee" * at + wire + b"\xaa\x55")
    made = field(kind, order, **fields)
    assert registers.value(buf, at, made) == scaled(number, made[4], made[5])
    for length in range(at, at + len(wire)):
        assert registers.value(buf[:length], at, made) == SHORT


@pytest.mark.parametrize(
    ("wire", "kind", "order", "shift", "mantissa"),
    [
        ("43 66 00 00", "f32", "ABCD", 0, 230),
        ("00 00 43 66", "f32", "CDAB", 0, 230),
        ("66 43 00 00", "f32", "BADC", 0, 230),
        ("00 00 66 43", "f32", "DCBA", 0, 230),
        ("FF F6 FF FF", "s32", "CDAB", 0, -10),
        ("00 00 00 00 00 01 86 A0", "u64", "ABCD", -2, 1000),
        ("40 59 00 00 00 00 00 00", "f64", "ABCD", 0, 100),
        ("02 92", "u16", "ABCD", 0, 658),
        ("FF 9B", "s16", "ABCD", 0, -101),
        ("12 34 56 78", "bcd32", "ABCD", 0, 12345678),
        ("56 78 12 34", "bcd32", "CDAB", 0, 12345678),
        ("34 12", "bcd16", "DCBA", 0, 1234),
        ("90 00 00 00 00 00 00 01", "bcd64", "ABCD", 0, 9000000000000001),
        ("00 15", "u16", "ABCD", -1, 2),  # halves go to the even neighbour
        ("00 19", "u16", "ABCD", -1, 2),
    ],
)
def test_known_values(wire, kind, order, shift, mantissa):
    assert registers.value(bytearray.fromhex(wire), 0, field(kind, order, shift=shift)) == (mantissa, 0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_devices_own_mark_for_no_value(kind, order):
    size = BYTES[kind]
    pattern = 0x1001_2003_4005_6007 >> (64 - 8 * size)
    buf = on_the_wire(pattern.to_bytes(size, "big"), order)
    assert registers.value(buf, 0, field(kind, order, invalid=[0, pattern])) == INVALID
    assert registers.value(buf, 0, field(kind, order, invalid=[[pattern, pattern]])) == INVALID
    assert registers.value(buf, 0, field(kind, order, invalid=[0, pattern + 1]))[1] == 0
    assert registers.value(buf, 0, field(kind, order, invalid=[[pattern, 0], [0, 1]]))[1] == 0


def test_a_mark_is_the_pattern_before_its_sign_is_read():
    assert registers.value(b"\x80\x00", 0, field("s16", invalid=[0x8000])) == INVALID
    assert registers.value(b"\x80\x00", 0, field("s16")) == (-32768, 0)
    assert registers.value(b"\x80\x07", 0, field("u16", invalid=[[0x8000, 0x8000]])) == INVALID
    assert registers.value(b"\x00\x07", 0, field("u16", invalid=[[0x8000, 0x8000]])) == (7, 0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("kind", "code"), [("f32", ">f"), ("f64", ">d")])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_is_no_number(kind, code, number, order):
    wire = on_the_wire(struct.pack(code, number), order)
    assert registers.value(wire, 0, field(kind, order)) == INVALID
    assert registers.value(bytes.fromhex("FF C0 00 00"), 0, field("f32")) == INVALID


@given(st.sampled_from(sorted(BCD)), st.sampled_from(ORDERS), st.data())
def test_a_nibble_above_nine_is_no_digit(kind, order, data):
    digits = data.draw(st.lists(st.sampled_from("0123456789"), min_size=BCD[kind], max_size=BCD[kind]))
    digits[data.draw(st.integers(0, BCD[kind] - 1))] = data.draw(st.sampled_from("abcdef"))
    assert registers.value(on_the_wire(bytes.fromhex("".join(digits)), order), 0, field(kind, order)) == INVALID


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.binary(max_size=3))
def test_coils(coils, before):
    packed = sum(bit << i for i, bit in enumerate(coils)).to_bytes((len(coils) + 7) // 8, "little")
    buf, at = bytearray(before + packed), len(before)
    assert [registers.value(buf, at, field("bool", offset=i)) for i in range(len(coils))] == [
        (int(c), 0) for c in coils
    ]
    assert registers.value(buf, at, field("bool", offset=8 * len(packed))) == SHORT
    assert registers.value(b"\x01", 0, field("bool", m=5, shift=1)) == (50, 0)
    assert registers.value(b"\x01", 0, field("bool", invalid=[1])) == INVALID


@given(st.sampled_from(["u16", "s16", "u32", "s32", "u64", "s64"]), st.sampled_from(ORDERS), st.data())
def test_bit_fields(kind, order, data):
    width = 8 * BYTES[kind]
    pattern = data.draw(st.integers(0, 2**width - 1))
    first = data.draw(st.integers(0, width - 1))
    count = data.draw(st.integers(1, width - first))
    wire = on_the_wire(pattern.to_bytes(width // 8, "big"), order)
    wanted = int(format(pattern, f"0{width}b")[width - first - count : width - first], 2)
    made = field(kind, order, more=["bits", first, count])
    assert registers.value(wire, 0, made) == ((wanted, 0) if wanted <= LIMIT else OVERFLOW)
    made[6] = [pattern]
    assert registers.value(wire, 0, made) == INVALID


@given(st.integers(-(2**15), 2**15 - 1), st.integers(-13, 13), st.integers(-3, 3), st.integers(0, 4))
@example(5, -11, 0, 0)
@example(5, -10, 3, 0)
@example(5, 10, 0, 0)
@example(5, 11, 0, 0)
def test_a_scale_register(number, power, shift, place):
    wire = struct.pack(">h", number) + bytes(2 * place) + struct.pack(">h", power)
    made = field("s16", shift=shift, more=["scale", place + 1])
    wanted = scaled(number, 1, shift + power) if -10 <= power <= 10 else INVALID
    assert registers.value(wire, 0, made) == wanted
    assert registers.value(wire[:-1], 0, made) == SHORT
    swapped = bytes(wire[i ^ 1] for i in range(len(wire)))
    assert registers.value(swapped, 0, [*made[:3], "BADC", *made[4:]]) == wanted


def test_a_scale_register_that_says_none():
    made = field("u16", offset=1, more=["scale", 0])
    assert registers.value(b"\x80\x00\x00\x05", 0, made) == INVALID
    assert registers.value(b"\x00\x0a\x00\x05", 0, made) == (5 * 10**10, 0)
    assert registers.value(b"\x00\x01\xff\xff", 0, field("u64", shift=1, more=["scale", 0])) == SHORT
    made = field("u64", offset=1, shift=1, more=["scale", 0])
    assert registers.value(b"\x00\x01" + bytes([0x7F] * 8), 0, made) == OVERFLOW


CODES = [["", 0], ["OK", 1], ["Sensor A", 2]]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"Sensor A", (2, 0)),
        (b"OK\x00\x00\x00\x00\x00\x00", (1, 0)),
        (b"OK      ", (1, 0)),
        (b"OK \x00    ", (1, 0)),
        (bytes(8), (0, 0)),
        (b"        ", (0, 0)),
        (b"ok      ", INVALID),
        (b" OK     ", INVALID),
        (b"Sensor \xff", INVALID),
        (b"Sensor ", SHORT),
        (b"", SHORT),
    ],
)
def test_texts_that_stand_for_numbers(data, found):
    assert registers.value(b"\x00\x00\x00" + data, 1, field("string", offset=1, more=["codes", 4, CODES])) == found
    mantissa = (100 * found[0], 0) if found[1] == 0 else found
    made = field("string", shift=2, more=["codes", 4, CODES])
    assert registers.value(data, 0, made) == mantissa


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"SunSpec \x00\x00", "SunSpec"),
        (b"A\x00BC", "A"),
        (b"\x00A", ""),
        (b"25 \xb0C \x7f\n~", "25 ?C ??~"),
        (b"", ""),
    ],
)
def test_text(data, wanted):
    assert registers.text(bytearray(b"\xee" + data), 1, 20) == wanted


def test_text_ends_with_its_registers():
    assert registers.text(b"abcdef", 0, 2) == "abcd"
    assert registers.text(b"abcdef", 2, 2) == "cdef"


WHATEVER = st.one_of(
    st.sampled_from(KINDS).flatmap(lambda kind: st.builds(field, st.just(kind), st.sampled_from(ORDERS), **FIELDS)),
    st.builds(field, st.just("bool"), offset=st.integers(0, 99)),
    st.builds(lambda i, a, n: field("u32", "CDAB", i, more=["bits", a, n]), st.integers(0, 9), st.integers(0, 31), st.integers(1, 32)),
    st.builds(lambda i, j: field("f32", "ABCD", i, shift=-3, more=["scale", j]), st.integers(0, 9), st.integers(0, 9)),
    st.builds(lambda i, n: field("string", "ABCD", i, more=["codes", n, CODES]), st.integers(0, 9), st.integers(1, 9)),
)  # fmt: skip


@given(st.binary(max_size=24), WHATEVER, st.integers(0, 30))
def test_whatever_the_bytes_no_exception(data, made, at):
    mantissa, quality_byte = registers.value(bytearray(data), at, made)
    assert -LIMIT <= mantissa <= LIMIT
    assert quality_byte == 0 or (mantissa, quality_byte) in (INVALID, OVERFLOW, SHORT)
    assert all(" " <= character <= "~" for character in registers.text(data, at, 9))
