"""Exact decimal arithmetic on integers: no float on the way from a register to the broker.

A value is mantissa * 10 ** exponent, with the exponent fixed for the stream. Every rounding is half-even.
"""

from micropython import const

LIMIT = const(0x7FFF_FFFF_FFFF_FFFF)  # of a mantissa, either way


def bounded(value):
    """The value, or None outside +-(2 ** 63 - 1): what cannot be stored must not be cut."""
    return value if -LIMIT <= value <= LIMIT else None


def whole(value):
    """It is an integer within these bounds."""
    return type(value) is int and bounded(value) is not None


def divide_half_even(n, d):
    """The integer nearest to n / d, the even one of two equally near; d is not 0."""
    if d < 0:
        n = -n
        d = -d
    quotient = n // d
    twice = (n - quotient * d) * 2
    if twice > d or twice == d and quotient & 1:
        quotient += 1
    return quotient


def scale(raw, m, shift):
    """raw * m * 10 ** shift as an integer, or None out of bounds."""
    value = raw * m
    if shift < 0:
        value = divide_half_even(value, 10**-shift)
    elif shift:
        value *= 10**shift
    return bounded(value)


def parse(text, exponent):
    """The mantissa that a decimal number in plain ASCII text ("-12.50") has at this exponent; None for anything else.

    None also out of bounds, and for more than 40 characters.
    """
    digits = text[1:] if text[:1] in ("-", "+") else text
    whole, _, part = digits.partition(".")
    digits = whole + part
    if not 0 < len(digits) <= 40:
        return None
    for character in digits:
        if character not in "0123456789":
            return None
    value = int(digits)
    return scale(-value if text[0] == "-" else value, 1, -len(part) - exponent)


def decimal(mantissa, exponent):
    """A mantissa as people write it: (23014, -2) is "230.14"."""
    if exponent >= 0:
        return str(mantissa * 10**exponent)
    sign = "-" if mantissa < 0 else ""
    whole, part = divmod(abs(mantissa), 10**-exponent)
    digits = str(part)
    return sign + str(whole) + "." + "0" * (-exponent - len(digits)) + digits


def float_bits(bits, width, m, shift):
    """The IEEE 754 number with these bits (width 32 or 64) * m * 10 ** shift as an integer.

    None for NaN, for an infinity and out of bounds.
    """
    if width == 32:
        exponent = bits >> 23 & 0xFF
        fraction = bits & 0x7F_FFFF
        hidden = 0x80_0000
        top = 0xFF
        point = 150  # bias 127 + 23 bits of fraction
    else:
        exponent = bits >> 52 & 0x7FF
        fraction = bits & 0xF_FFFF_FFFF_FFFF
        hidden = 0x10_0000_0000_0000
        top = 0x7FF
        point = 1075
    if exponent == top:
        return None
    if exponent:
        fraction |= hidden
    else:
        exponent = 1  # zero and the subnormal numbers
    n = -fraction * m if bits >> width - 1 else fraction * m
    d = 1
    if exponent < point:
        d <<= point - exponent
    else:
        n <<= exponent - point
    if shift < 0:
        d *= 10**-shift
    else:
        n *= 10**shift
    return bounded(divide_half_even(n, d))
