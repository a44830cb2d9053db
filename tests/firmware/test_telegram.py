"""acquire.telegram: a meter's telegrams, whole and damaged, in whatever pieces they come. The checksum here divides bit by bit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.acquire.pushed.telegram import LONGEST, Telegram
from gateway.core import quality
from gateway.core.exact import divide_half_even

LIMIT = 2**63 - 1

# Shaped as Swedish and Dutch meters send it: all 27 values of the recommendation, a meter on M-Bus, a text, a log of power failures.
LINES = [
    "0-0:1.0.0(210217184019W)",
    "0-0:96.1.1(4B384547303034303436333935353037)",
    "1-0:1.8.0(00006678.394*kWh)",
    "1-0:2.8.0(00000000.000*kWh)",
    "1-0:3.8.0(00000021.988*kvarh)",
    "1-0:4.8.0(00001020.971*kvarh)",
    "1-0:1.7.0(0001.237*kW)",
    "1-0:2.7.0(0000.000*kW)",
    "1-0:3.7.0(0000.000*kvar)",
    "1-0:4.7.0(0000.309*kVAr)",
    "1-0:21.7.0(0001.023*kW)",
    "1-0:41.7.0(0000.350*kW)",
    "1-0:61.7.0(-0000.136*kW)",
    "1-0:32.7.0(240.3*V)",
    "1-0:52.7.0(240.1*V)",
    "1-0:72.7.0(241.3*V)",
    "1-0:31.7.0(004.2*A)",
    "1-0:51.7.0(001.6*A)",
    "1-0:71.7.0(001.7*A)",
    "1-0:1.8.0*1(00000001.000*kWh)",
    "1-0:99.97.0(1)(0-0:96.7.19)(000104180320W)(0000237126*s)",
    "1-0:32.32.0(00007)",
    "0-0:96.13.0()",
    "0-1:24.2.1(101209112500W)(12785.123*m3)",
    "1-0:15.7.0*255(002124.86*W)",
]


def crc16_arc(data):
    """Division by x16 + x15 + x2 + 1 as on paper: one number of all bits, the low one of each byte first."""
    rest = int("".join(f"{byte:08b}"[::-1] for byte in data), 2) << 16
    for power in range(8 * len(data) + 15, 15, -1):
        if rest >> power & 1:
            rest ^= 0x18005 << power - 16
    return int(f"{rest:016b}"[::-1], 2)


def made(lines, head="/SAT5\\253833635_A"):
    body = "\r\n".join([head, "", *lines, "!"]).encode("latin-1")
    return body + f"{crc16_arc(body):04X}\r\n".encode()


WHOLE = made(LINES)


def heard(*pieces, longest=LONGEST):
    telegram = Telegram(longest)
    for piece in pieces:
        buf = bytearray(piece) + b"/!0000/!"  # the caller's buffer is longer than what was received
        telegram.feed(buf, len(piece))
    return telegram


def counts(telegram):
    return telegram.good, telegram.crc, telegram.torn, telegram.long


def bad(reason):
    return 0, quality.pack(quality.BAD, reason)


INVALID, NO_DATA, OVERFLOW = bad(quality.INVALID), bad(quality.NO_DATA), bad(quality.OVERFLOW)


def test_the_checksum_of_the_tests_is_crc_16_arc():
    assert crc16_arc(b"123456789") == 0xBB3D  # the check value of the catalogue of CRC algorithms
    assert WHOLE.endswith(b"!E81C\r\n")


@pytest.mark.parametrize(
    ("key", "unit", "m", "shift", "expected"),
    [
        ("1-0:1.8.0", "kWh", 1, 3, (6678394, 0)),
        ("1-0:1.8.0", "kWh", 1000, 0, (6678394, 0)),
        ("1-0:1.8.0", "kWh", 1, 0, (6678, 0)),
        ("1-0:1.8.0", "kWh", 1, 1, (66784, 0)),
        ("1-0:4.8.0", "kvarh", 1, 3, (1020971, 0)),
        ("1-0:1.7.0", "kW", -1, 3, (-1237, 0)),
        ("1-0:61.7.0", "kW", 1, 3, (-136, 0)),
        ("1-0:32.7.0", "V", 1, 1, (2403, 0)),
        ("1-0:32.7.0", "V", 1, 0, (240, 0)),
        ("1-0:31.7.0", "A", 1, 1, (42, 0)),
        ("1-0:32.32.0", "", 1, 0, (7, 0)),
        ("0-1:24.2.1", "m3", 1, 3, (12785123, 0)),
        ("1-0:99.97.0", "s", 1, 0, (237126, 0)),
        ("1-0:15.7.0", "W", 1, 2, (212486, 0)),
        ("1-0:15.7.0*255", "W", 1, 2, (212486, 0)),
        ("1-0:1.8.0*1", "kWh", 1, 3, (1000, 0)),
        ("1-0:4.7.0", "kvar", 1, 3, (309, 0)),
        ("1-0:3.7.0", "kVAr", 1, 3, (0, 0)),
        ("1-0:1.8.0", "Wh", 1, 3, INVALID),
        ("1-0:1.8.0", "KWH", 1, 3, INVALID),
        ("1-0:1.8.0", "", 1, 3, INVALID),
        ("1-0:32.32.0", "V", 1, 0, INVALID),
        ("0-0:96.13.0", "", 1, 0, INVALID),
        ("0-0:1.0.0", "", 1, 0, INVALID),
        ("0-0:96.1.1", "", 1, 0, INVALID),
        ("1-0:1.8.0", "kWh", 10**15, 3, OVERFLOW),
        ("1-0:1.8.1", "kWh", 1, 3, NO_DATA),
        ("1-0:1.8", "kWh", 1, 3, NO_DATA),
        ("0:1.8.0", "kWh", 1, 3, NO_DATA),
        ("", "kWh", 1, 3, NO_DATA),
    ],
)
def test_values_of_a_telegram(key, unit, m, shift, expected):
    assert heard(WHOLE).value(key, unit, m, shift) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1-0:1.7.0(12*kW)", (12000, 0)),
        ("1-0:1.7.0(0.0005*kW)", (0, 0)),
        ("1-0:1.7.0(0.0015*kW)", (2, 0)),
        ("1-0:1.7.0(0.0025*kW)", (2, 0)),
        ("1-0:1.7.0(-0.0025*kW)", (-2, 0)),
        ("1-0:1.7.0(9223372036854775.807*kW)", (LIMIT, 0)),
        ("1-0:1.7.0(9223372036854775.808*kW)", OVERFLOW),
        ("1-0:1.7.0(" + "0" * 27 + "1.500*kW)", (1500, 0)),
        ("1-0:1.7.0(" + "0" * 28 + "1.500*kW)", INVALID),
        ("1-0:1.7.0(1.2.3*kW)", INVALID),
        ("1-0:1.7.0(1_0*kW)", INVALID),
        ("1-0:1.7.0( 10*kW)", INVALID),
        ("1-0:1.7.0(+10*kW)", INVALID),
        ("1-0:1.7.0(--1*kW)", INVALID),
        ("1-0:1.7.0(1e3*kW)", INVALID),
        ("1-0:1.7.0(-*kW)", INVALID),
        ("1-0:1.7.0(.*kW)", INVALID),
        ("1-0:1.7.0(*kW)", INVALID),
        ("1-0:1.7.0(\xb2*kW)", INVALID),
        ("1-0:1.7.0(10*kW", INVALID),
        ("1-0:1.7.0(10*kW*kW)", INVALID),
        ("1-0:1.7.0(10*kW) ", INVALID),
        ("1-0:1.7.0(10*kW))", INVALID),
        ("1-0:1.7.0)10*kW(", NO_DATA),
        ("1-0:1.7.0(", INVALID),
        ("1-0:1.7.0*", INVALID),
        ("1-0:1.7.0*255\r\n1-0:2.7.0(10*kW)", INVALID),
        ("1-0:1.7.0", NO_DATA),
        (" 1-0:1.7.0(10*kW)", NO_DATA),
        ("1-0:1.7.01(9*kW)\r\n1-0:1.7.0(10*kW)", (10000, 0)),
        ("1-0:1.7.0(10*kW)\r\n1-0:1.7.0(11*kW)", (10000, 0)),
        ("1-0:1.7.0(10*kW)\n", (10000, 0)),
    ],
)
def test_a_line(line, expected):
    for following in ([], ["1-0:2.7.0(5*kW)"]):
        telegram = heard(made([line, *following]))
        assert counts(telegram) == (1, 0, 0, 0)
        assert telegram.value("1-0:1.7.0", "kW", 1, 3) == expected


def test_before_the_first_telegram_there_is_no_value():
    assert Telegram().value("1-0:1.8.0", "kWh", 1, 3) == NO_DATA


@given(
    st.integers(-(10**18), 10**18),
    st.integers(0, 9),
    st.integers(1, 12),
    st.sampled_from([1, -1, 36, 1000]),
    st.integers(-6, 6),
)
def test_values_are_exact(steps, behind, width, m, shift):
    text = f"{Decimal(steps).scaleb(-behind):0{width}.{behind}f}"
    exact = Fraction(steps, 10**behind) * m * Fraction(10) ** shift
    mantissa = divide_half_even(exact.numerator, exact.denominator)
    got = heard(made([f"1-0:1.8.0({text}*kWh)"])).value("1-0:1.8.0", "kWh", m, shift)
    assert got == ((mantissa, 0) if abs(mantissa) <= LIMIT else OVERFLOW)


def pieces(data, cuts):
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in zip(places, places[1:], strict=False)]


OTHER = made(["1-0:1.8.0(00006679.001*kWh)"])
SOUNDS = [
    WHOLE,
    OTHER,
    WHOLE[:100],
    WHOLE[:-7],
    WHOLE[:-4],
    b"\0\xff",
    b"!",
    b"/",
    b"(1*kWh)\r\n",
    b"/!0000",
    b"x" * 700,
]
noises = st.lists(st.one_of(st.sampled_from(SOUNDS), st.binary(max_size=30)), max_size=12).map(b"".join)


@given(noises, st.lists(st.integers(0, 10**6), max_size=30), st.sampled_from([1, 60, 900, LONGEST]))
def test_bytes_never_raise_and_how_they_are_cut_does_not_matter(data, cuts, longest):
    one = heard(data, longest=longest)
    other = heard(*pieces(data, cuts), longest=longest)
    single = heard(*(bytes((byte,)) for byte in data), longest=longest)
    for key, unit in (("1-0:1.8.0", "kWh"), ("1-0:32.7.0", "V"), ("0-0:1.0.0", "")):
        assert one.value(key, unit, 1, 3) == other.value(key, unit, 1, 3) == single.value(key, unit, 1, 3)
    assert counts(one) == counts(other) == counts(single)
    assert one.under_way == other.under_way == single.under_way


@given(st.integers(0, 8 * (len(WHOLE) - 2) - 1))
def test_no_flipped_bit_gives_a_good_telegram(bit):
    data = bytearray(WHOLE)
    data[bit // 8] ^= 1 << bit % 8
    telegram = heard(data, OTHER)
    assert telegram.good == 1
    assert telegram.value("1-0:1.8.0", "kWh", 1, 3) == (6679001, 0)
    assert telegram.value("1-0:32.7.0", "V", 1, 1) == NO_DATA


@given(st.integers(0, len(WHOLE) - 3))
def test_no_part_gives_a_good_telegram(end):
    telegram = heard(WHOLE[:end], OTHER)
    assert counts(telegram) == (1, 0, int(end > 0), 0)
    assert telegram.value("1-0:1.8.0", "kWh", 1, 3) == (6679001, 0)


@pytest.mark.parametrize(
    ("sounds", "expected"),
    [
        ([WHOLE, WHOLE], (2, 0, 0, 0)),
        ([WHOLE[:-2], WHOLE[:-2]], (2, 0, 0, 0)),
        ([b"\0\xff!0000", WHOLE, b"!" + b"\xff" * 9, WHOLE], (2, 0, 0, 0)),
        ([WHOLE[40:], WHOLE], (1, 0, 0, 0)),
        ([WHOLE[:-6] + b"0000\r\n", WHOLE], (1, 1, 0, 0)),
        ([WHOLE[:-6] + b"\r\n\0\0", WHOLE], (1, 1, 0, 0)),  # the checksum of older telegrams: none
        ([WHOLE.replace(b"!E81C", b"!e81c")], (0, 1, 0, 0)),
        ([WHOLE[:-4], WHOLE], (1, 0, 1, 0)),
        ([b"/" * 5, WHOLE[1:]], (1, 0, 4, 0)),
        ([b"/" + b"x" * LONGEST, WHOLE], (1, 0, 0, 1)),
        ([b"/" + b"x" * (LONGEST - 6) + b"!0000"], (0, 1, 0, 0)),
        ([b"/" + b"x" * (LONGEST - 5) + b"!0000", WHOLE], (1, 0, 0, 1)),
        ([b"/" + b"x" * 10 * LONGEST + b"!0000", WHOLE], (1, 0, 0, 1)),
    ],
)
def test_what_is_counted(sounds, expected):
    telegram = heard(*sounds)
    assert counts(telegram) == expected
    assert telegram.errors() == ((quality.CRC, expected[1]), (quality.SHORT, expected[2] + expected[3]))


def test_feed_tells_how_many_good_ones_ended():
    telegram = Telegram()
    data = WHOLE[-50:] + WHOLE + OTHER + WHOLE[:50]
    assert telegram.feed(data, len(data)) == 2
    assert telegram.feed(WHOLE[50:], len(WHOLE) - 50) == 1


def test_silence_ends_a_telegram():
    telegram = heard(WHOLE[:100])
    assert telegram.under_way
    telegram.gap()
    telegram.gap()
    assert not telegram.under_way and counts(telegram) == (0, 0, 1, 0)
    telegram.feed(WHOLE[100:], len(WHOLE) - 100)
    assert counts(telegram) == (0, 0, 1, 0)


def test_damage_leaves_the_last_good_telegram():
    telegram = heard(WHOLE, OTHER[:-8], OTHER[:-6] + b"0000\r\n", b"/" + b"x" * 3000)
    assert telegram.value("1-0:1.8.0", "kWh", 1, 3) == (6678394, 0)
