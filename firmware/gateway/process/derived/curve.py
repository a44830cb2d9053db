"""Straight lines through 2 to 16 points [x, y] with x ascending, whole numbers; beyond the ends as at the ends."""

from micropython import const

from gateway.core.errors import require

_MOST_POINTS = const(16)


def require_curve(points):
    require(type(points) in (list, tuple) and 2 <= len(points) <= _MOST_POINTS)
    before = None
    for point in points:
        require(type(point) in (list, tuple) and len(point) == 2 and type(point[0]) is int and type(point[1]) is int)
        require(before is None or before < point[0])
        before = point[0]


def on_curve(points, n, d):
    """(n, d) of y on the lines at x = n / d, exact."""
    if n <= points[0][0] * d:
        return points[0][1], 1
    if n >= points[-1][0] * d:
        return points[-1][1], 1
    at = len(points) - 2
    while n < points[at][0] * d:
        at -= 1
    x0, y0 = points[at]
    x1, y1 = points[at + 1]
    return y0 * (x1 - x0) * d + (n - x0 * d) * (y1 - y0), (x1 - x0) * d
