"""Filters of one point: (mantissa, quality byte) in, (mantissa, quality byte) out."""

from micropython import const

from gateway.core.errors import SettingError
from gateway.core.quality import BAD, INVALID, OUT_OF_RANGE, pack

_LARGEST_MEDIAN = const(15)
_OUT = pack(BAD, OUT_OF_RANGE)


class Range:
    """Bad outside low..high (mantissas, both ends belong to it); the mantissa stays, for the console."""

    def __init__(self, low, high):
        self._low = low
        self._high = high

    def apply(self, mantissa, quality_byte):
        if quality_byte >> 6 != BAD and not self._low <= mantissa <= self._high:
            quality_byte = _OUT
        return mantissa, quality_byte


class Median:
    """The median of the last `size` good values (odd, at most 15).

    Until there are as many, of those present; of an even number the lower of the two in the middle. What is not good
    passes unchanged and does not enter.
    """

    def __init__(self, size):
        if not (1 <= size <= _LARGEST_MEDIAN and size & 1):
            raise SettingError(INVALID)
        self._size = size
        self._recent = []

    def apply(self, mantissa, quality_byte):
        if quality_byte:
            return mantissa, quality_byte
        recent = self._recent
        if len(recent) == self._size:
            recent.pop(0)
        recent.append(mantissa)
        return sorted(recent)[(len(recent) - 1) >> 1], quality_byte


def build(spec):
    """The filter of a compiled spec: ["range", low, high] or ["median", size]; SettingError for any other."""
    name = spec[0]
    if name == "range":
        return Range(spec[1], spec[2])
    if name == "median":
        return Median(spec[1])
    raise SettingError(INVALID)
