"""Exact rounding."""

from fractions import Fraction


def round_half_even(value: Fraction | int) -> int:
    """The nearest integer; a tie goes to the even one."""
    return round_ratio(value.numerator, value.denominator)


def round_ratio(numerator: int, denominator: int) -> int:
    """numerator / denominator (denominator > 0) to the nearest integer; a tie goes to the even one."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient
