"""The water content of soil from what a probe gives, and how much of what plants can take of it is used up.

Outputs: water content, percent of volume; depletion (field capacity - content) / (field capacity - wilting point),
percent, 0 and 100 at its ends. limits: [field capacity, wilting point] in steps of the content, or [] without it.
"""

from gateway.core.quality import BAD, OUT_OF_RANGE, pack
from gateway.core.errors import require
from gateway.process.derived import MISSING, Derivation, rounded
from gateway.process.derived.curve import on_curve, require_curve

_OUT = pack(BAD, OUT_OF_RANGE)


class _Soil(Derivation):
    def __init__(self, sources, outputs, full, depleted, limits):
        super().__init__(sources, outputs)
        require(full > 0 and depleted > 0 and (not limits or len(limits) == 2 and limits[0] > limits[1]))
        self._full = full  # 100 percent, in steps of the content
        self._depleted = depleted  # 100 percent, in steps of the depletion
        self._limits = limits

    def _results(self, readings, fresh, now_s):
        mantissa, quality_byte = readings[0]
        if quality_byte >> 6 == BAD:
            quality_byte = MISSING
        elif not self._possible(mantissa):
            quality_byte = _OUT
        if quality_byte >> 6 == BAD:
            return [(0, quality_byte), (0, quality_byte) if self._limits else None]
        n, d = self._content(mantissa)
        n = max(0, min(n, self._full * d))
        return [rounded(n, d, quality_byte), self._depletion(n, d, quality_byte) if self._limits else None]

    def _depletion(self, n, d, quality_byte):
        capacity, wilting = self._limits
        span = (capacity - wilting) * d
        return rounded(max(0, min(capacity * d - n, span)) * self._depleted, span, quality_byte)


class Topp(_Soil):
    """From the permittivity e = x * n / d, by Topp, Davis and Annan 1980 (Water Resources Research 16, 574-582):

    content = -0.053 + 0.0292 e - 0.00055 e**2 + 0.0000043 e**3 of the volume. Bad unless 1 (air) <= e <= 81 (water).
    """

    def __init__(self, sources, outputs, report, n, d, full, depleted, limits):
        super().__init__(sources, outputs, full, depleted, limits)
        require(n > 0 and d > 0)
        self._n = n
        self._d = d

    def _possible(self, mantissa):
        return self._d <= mantissa * self._n <= 81 * self._d

    def _content(self, mantissa):
        d = self._d
        e = mantissa * self._n
        share = -530_000 * d**3 + 292_000 * e * d**2 - 5_500 * e**2 * d + 43 * e**3
        return share * self._full, 10_000_000 * d**3


class Table(_Soil):
    """On straight lines through 2 to 16 points [x, content], x ascending; beyond the ends as at the ends."""

    def __init__(self, sources, outputs, report, points, full, depleted, limits):
        super().__init__(sources, outputs, full, depleted, limits)
        require_curve(points)
        self._points = points

    def _possible(self, mantissa):
        return True

    def _content(self, mantissa):
        return on_curve(self._points, mantissa, 1)


KINDS = {"topp": (Topp, 1, 1, 2, 5), "table": (Table, 1, 1, 2, 4)}
