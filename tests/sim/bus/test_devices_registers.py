"""Register encoding against fractions and struct."""

import struct
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from satama_sim.bus.registers import BITS, Codec, f32_bits, f64_bits

F32_MAX = Fraction(2**24 - 1) * 2**104
TIE = Fraction(2**24 + 1)  # exactly between two singles


def codec(type="u16", scale="1", invalid=(), **more):
    usual = {"kind": "gauge", "word_order": "big", "byte_order": "big", "bits": None, "rollover": None, "states": {}}
    return Codec(SimpleNamespace(**{**usual, "type": type, "scale": Decimal(scale), "invalid": list(invalid), **more}))


def ratio(value):
    value = Fraction(value)
    return value.numerator, value.denominator


def single(bits):
    return Fraction(struct.unpack(">f", struct.pack(">I", bits))[0])


values = st.one_of(
    st.fractions(max_denominator=10**12),
    st.builds(Fraction, st.integers(-(2**70), 2**70), st.integers(1, 2**60)),
    st.builds(lambda m, e: Fraction(m) * Fraction(2) ** e, st.integers(-(2**26), 2**26), st.integers(-170, 100)),
)


@given(values)
@settings(max_examples=500)
@example(TIE)
@example(TIE + Fraction(1, 10**40))  # a double rounds this to the tie, and rounding twice would go down
@example(TIE + 2 - Fraction(1, 10**40))
@example(Fraction(1, 2**149))
@example(Fraction(3, 2**150))
@example(Fraction(5, 2**150) * (1 + Fraction(1, 2**80)))
@example(Fraction(2**24 - 1, 2**150))
@example(F32_MAX)
@example(Fraction(0))
def test_f32_is_the_nearest_single(value):
    bits = f32_bits(value.numerator, value.denominator)
    got = single(bits)
    magnitude = bits & 0x7FFF_FFFF
    neighbours = [single(bits & 0x8000_0000 | m) for m in (magnitude - 1, magnitude + 1) if 0 <= m < 0x7F80_0000]
    for other in neighbours:
        assert abs(got - value) <= abs(other - value)
        if abs(got - value) == abs(other - value):
            assert bits % 2 == 0, "a tie goes to the even mantissa"
    assert (got < 0) == (value < 0) or got == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_too_large_for_a_single_is_infinite(sign):
    top = F32_MAX + Fraction(2**103)  # the tie above the largest single
    for value in (top, top * 2, Fraction(10) ** 400):
        assert f32_bits(sign * value.numerator, value.denominator) == (0x7F80_0000 if sign > 0 else 0xFF80_0000)
    below = top - Fraction(1, 10**40)
    assert single(f32_bits(sign * below.numerator, below.denominator)) == sign * F32_MAX


@given(values)
def test_f64_is_the_nearest_double(value):
    assert f64_bits(*ratio(value)) == struct.unpack(">Q", struct.pack(">d", value.numerator / value.denominator))[0]


@given(
    st.sampled_from(["u16", "s16", "u32", "s32", "u64", "s64"]),
    st.sampled_from(["1", "0.1", "0.01", "10", "-0.1", "0.25", "3"]),
    st.fractions(max_denominator=10**9),
)
def test_whole_numbers_are_rounded_half_even(type_, scale, value):
    raw = round(value / Fraction(scale))
    bits, signed = BITS[type_], type_[0] == "s"
    assume(-(2 ** (bits - 1)) <= raw < 2 ** (bits - 1) if signed else 0 <= raw < 2**bits)
    it = codec(type_, scale)
    encoded = it.encode(ratio(value))
    assert encoded == raw % 2**bits
    assert it.decode(encoded) == raw * Fraction(scale)


ends = st.sampled_from(["big", "little"])


@given(st.sampled_from(sorted(BITS)), ends, ends, st.integers(0, 2**64 - 1))
def test_words_and_back(type_, word_order, byte_order, number):
    it = codec(type_, word_order=word_order, byte_order=byte_order)
    raw = number % 2**it.bits
    words = it.words(raw)
    assert len(words) == max(1, it.bits // 16)
    assert it.raw(words) == raw
    if type_ != "bool":
        wire = b"".join(word.to_bytes(2, byte_order) for word in words[:: 1 if word_order == "big" else -1])
        assert wire == raw.to_bytes(it.bits // 8, "big")


@pytest.mark.parametrize(
    ("type_", "order", "value", "words"),
    [  # the vectors of the register collection
        ("f32", "big", 230, [0x4366, 0x0000]),
        ("f32", "little", 230, [0x0000, 0x4366]),
        ("s32", "little", -10, [0xFFF6, 0xFFFF]),
        ("u64", "big", 100_000, [0, 0, 1, 0x86A0]),
        ("f64", "big", 100, [0x4059, 0, 0, 0]),
        ("f64", "little", 100, [0, 0, 0, 0x4059]),
        ("s16", "big", Fraction(-101, 10), [0xFFF6]),
        ("bool", "big", 1, [1]),
    ],
)
def test_vectors(type_, order, value, words):
    it = codec(type_, word_order=order)
    assert it.words(it.encode(ratio(value))) == words


@pytest.mark.parametrize(
    ("words", "bytes_", "expected"),
    [("big", "big", "ABCD"), ("little", "big", "CDAB"), ("big", "little", "BADC"), ("little", "little", "DCBA")],
)
def test_the_four_orders(words, bytes_, expected):
    shown = codec("u32", word_order=words, byte_order=bytes_).words(int.from_bytes(b"ABCD", "big"))
    assert b"".join(word.to_bytes(2, "big") for word in shown).decode() == expected
    eight = codec("u64", word_order=words, byte_order=bytes_).words(int.from_bytes(b"ABCDEFGH", "big"))
    pairs = {"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}
    assert b"".join(word.to_bytes(2, "big") for word in eight).decode() == pairs[expected]


def test_decimal_digits():
    it = codec("bcd32", "0.001", kind="counter")
    assert it.words(it.encode((12_345_678, 1000))) == [0x1234, 0x5678]
    assert it.decode(0x12345678) == Fraction(12_345_678, 1000)
    assert it.encode((100_000_001, 1000)) == 1, "it has eight digits"
    assert codec("bcd16").encode((12_000, 1)) == 0x9999
    assert codec("bcd16", invalid=[0xFFFF]).encode((12_000, 1)) == 0xFFFF
    assert it.decode(0x1234567A) is None


def test_bits_of_a_register():
    it = codec("u16", "0.5", bits=(4, 3))
    assert it.encode((5, 2)) == 5 << 4
    assert it.mask == 0b111_0000
    assert it.decode(0xFF0F | 5 << 4) == Fraction(5, 2)
    assert it.encode((100, 1)) == 7 << 4
    assert codec("u16", bits=(4, 3), invalid=[0xFFFF]).encode(None) == 0xFFFF
    assert codec("u32", word_order="little", bits=(16, 8)).words(0xAB << 16) == [0, 0xAB]


def test_texts_of_a_list():
    it = codec("string", length=3, states={"A": 0, "B1": 1}, kind="state")
    assert it.words(it.encode((1, 1))) == [0x4231, 0, 0]
    assert it.decode(it.encode((1, 1))) == 1
    assert it.encode((7, 1)) is None
    assert it.decode(int.from_bytes(b"C\0\0\0\0\0", "big")) is None


def test_markers_that_fill_some_bits():
    it = codec("s32", invalid=[(0xFFFF_0000, 0x7FFF_0000)])
    assert it.encode(None) == 0x7FFF_0000
    assert it.decode(0x7FFF_1234) is None
    assert it.decode(0x7FFE_1234) == 0x7FFE_1234


def test_a_counter_begins_again_where_its_maker_says():
    it = codec("u32", "0.01", kind="counter", rollover=Decimal(1_000_000))
    assert it.encode((1_000_000, 1)) == 0
    assert it.encode((123_456_789, 100)) == 123_456_789 % 100_000_000
    assert codec("f32", kind="counter", rollover=Decimal(100)).encode((101, 1)) == 0x3F80_0000


def test_counters_beyond_2_to_the_24_and_32():
    assert codec("u64", kind="counter").encode(ratio(2**32 + 1)) == 2**32 + 1
    assert codec("u32", "0.001", kind="counter").encode(ratio(Fraction(2**24 + 1, 1000))) == 2**24 + 1
    assert codec("f32").decode(codec("f32").encode(ratio(2**24 + 1))) == 2**24  # a single holds no more


def test_no_value_shows_the_marker():
    assert codec(invalid=[0xFFFF]).encode(None) == 0xFFFF
    assert codec("s16", invalid=[0x7FFF, 0x8000]).encode(None) == 0x7FFF
    assert codec("f32").encode(None) == 0x7FC0_0000
    assert codec("f32", invalid=[0xFFC0_0000, "NaN"]).encode(None) == 0xFFC0_0000
    assert codec("f64", invalid=["NaN"]).encode(None) == 0x7FF8_0000_0000_0000
    assert codec().encode(None) is None
    for it in (codec(invalid=[0xFFFF]), codec("f32"), codec("f64")):
        assert it.decode(it.encode(None)) is None
    assert codec("f32").decode(0x7F80_0000) is None


def test_what_does_not_fit():
    assert codec(kind="counter").encode((65_537, 1)) == 1
    assert codec("s16", kind="counter").encode((40_000, 1)) == 0x7FFF
    assert codec().encode((65_536, 1)) == 0xFFFF
    assert codec().encode((-1, 1)) == 0
    assert codec(invalid=[0xFFFE]).encode((65_536, 1)) == 0xFFFE
