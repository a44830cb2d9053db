"""Two-point calibrations of analog inputs, made on the spot and kept on the device."""

from struct import calcsize, pack, unpack_from

from micropython import const

from gateway.core.errors import SettingError
from gateway.core.quality import INVALID

_KEY = const(1)  # in the state ring
_ROW = ">IBiqiq"  # number of the input, points, x and mantissa of the older and the newer one
_MOST = const(17)  # rows in a value of 512 bytes
_NEAR = const(10000)  # x closer than 10 mV, or 1 % of the reference: the same point once more; ten steps of the ADC


class Calibrations:
    """`state` keeps a value under a key: get(key), put(key, bytes).

    The number of an input stands for it and for all that its line depends on, so no calibration outlives another sensor or table.
    """

    def __init__(self, state):
        self._state = state
        self._rows = []  # (number, [(x, mantissa), ...])
        data = state.get(_KEY) or b""
        size = calcsize(_ROW)
        for at in range(0, len(data) - size + 1, size):
            number, count, x0, v0, x1, v1 = unpack_from(_ROW, data, at)
            self._rows.append((number, [(x0, v0), (x1, v1)][:count]))

    def points(self, number):
        """What has been set for an input: up to two (x, mantissa), the older first."""
        for row, points in self._rows:
            if row == number:
                return points
        return []

    def table(self, number):
        """The line through both points as a table for `curve.value`; None until there are two."""
        points = self.points(number)
        return sorted(points) if len(points) == 2 else None

    def calibrate(self, number, x, mantissa):
        """At this x the value is that. The first call sets one point, the second the other; from then on the line through them holds.

        A later one replaces the nearer of both. True as soon as a power cut cannot take it. Raises SettingError when both points would
        have the same value.
        """
        points = [point for point in self.points(number) if not -_NEAR < point[0] - x < _NEAR]
        if len(points) == 2:
            points.pop(0 if abs(points[0][0] - x) <= abs(points[1][0] - x) else 1)
        if points and points[0][1] == mantissa:
            raise SettingError(INVALID)
        points.append((x, mantissa))
        return self._keep(number, points)

    def forget(self, number):
        """Back to the table that came with the site. True as soon as a power cut cannot bring the calibration back."""
        return self._keep(number, [])

    def _keep(self, number, points):
        rows = [row for row in self._rows if row[0] != number]
        if points:
            rows.append((number, points))
        self._rows = rows[-_MOST:]
        data = b""
        for row, both in self._rows:
            (x0, v0), (x1, v1) = both[0], both[-1]
            data += pack(_ROW, row, len(both), x0, v0, x1, v1)
        return self._state.put(_KEY, data)
