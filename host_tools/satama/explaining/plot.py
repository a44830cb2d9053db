"""A day as a picture: raw readings against what the filters make of them, as text in braille dots and as SVG."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape

from ..core.quantities import symbol
from .day import DAY_S, Day, Values

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a braille character, by column and row
_NARROWEST, _WIDEST, _ROWS = 40, 200, 8
_REFUSED = "x"
_TICK_HOURS = (0, 6, 12, 18, 24)
_SVG_WIDTH, _SVG_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 480, 90, 20, 50, 50


class Axis(NamedTuple):
    """The mantissas at the lower and upper edge; low < high."""

    low: int
    high: int

    def part(self, mantissa: int) -> float:
        """0 at the lower edge, 1 at the upper; what is beyond stands at the edge."""
        return min(1.0, max(0.0, (mantissa - self.low) / (self.high - self.low)))


def axis(day: Day) -> Axis:
    """Fits what came through the filters, with a margin, so that spikes do not press it flat."""
    values = [m for _, m in day.filtered if m is not None] or [m for _, m in day.raw if m is not None] or [0]
    low, high = min(values), max(values)
    margin = max(1, (high - low) // 10)
    return Axis(low - margin, high + margin)


def runs(values: Values) -> Iterator[list[tuple[int, int]]]:
    """The stretches without a gap."""
    run: list[tuple[int, int]] = []
    for second, mantissa in values:
        if mantissa is not None:
            run.append((second, mantissa))
        elif run:
            yield run
            run = []
    if run:
        yield run


def shown(mantissa: int, exponent: int, unit: str) -> str:
    return f"{Decimal(mantissa).scaleb(exponent):f} {symbol(unit)}".rstrip()


def summary(day: Day) -> str:
    """What became of the readings, in one sentence."""
    reasons = day.as_data()["refused"]
    parts = [f"{len(day.raw)} readings", f"{day.odd} made odd for this picture", f"{day.missing} without a value"]
    parts.append(f"{len(day.refused)} refused or replaced")
    if reasons:
        parts[-1] += f" ({', '.join(f'{count} {reason}' for reason, count in reasons.items())})"
    if day.silent:
        parts.append(f"{day.silent} not worth a report")
    return ", ".join(parts)


# --- text


def as_lines(day: Day, exponent: int, unit: str, columns: int) -> Iterator[str]:
    """Two pictures, raw and filtered, on one scale, at most `columns` wide (40 at least)."""
    scale = axis(day)
    labels = [shown(mantissa, exponent, unit) for mantissa in (scale.high, (scale.low + scale.high) // 2, scale.low)]
    gutter = max(map(len, labels))
    width = max(_NARROWEST, min(columns, _WIDEST)) - gutter - 3
    width = max(width, 16)
    for title, values, marks in (("raw", day.raw, day.refused), ("filtered", day.filtered, [])):
        yield f"{'':>{gutter}}   {title}" + (f" ({_REFUSED}: refused)" if marks else "")
        rows = _braille(values, marks, scale, width)
        for row, line in enumerate(rows):
            label = {0: labels[0], (_ROWS - 1) // 2: labels[1], _ROWS - 1: labels[2]}.get(row, "")
            yield f"{label:>{gutter}} ┤{line}".rstrip()
    yield f"{'':>{gutter}} └{_ruler(width)}"
    yield f"{'':>{gutter}}  {_hours(width)}"


def _braille(values: Values, marks: Iterable[tuple[int, int, str]], scale: Axis, width: int) -> list[str]:
    across, down = 2 * width, 4 * _ROWS
    cells = [[0] * width for _ in range(_ROWS)]

    def place(second: int, mantissa: int) -> tuple[int, int]:
        return second * (across - 1) // DAY_S, round((1 - scale.part(mantissa)) * (down - 1))

    for run in runs(values):
        dots = [place(*point) for point in run]
        for (x0, y0), (x1, y1) in pairwise([dots[0], *dots]):
            steps = max(abs(x1 - x0), abs(y1 - y0), 1)
            for at in range(steps + 1):
                x, y = x0 + (x1 - x0) * at // steps, y0 + (y1 - y0) * at // steps
                cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    lines = [[chr(0x2800 + dots) if dots else " " for dots in row] for row in cells]
    for second, mantissa, _ in marks:
        x, y = place(second, mantissa)
        lines[y // 4][x // 2] = _REFUSED
    return ["".join(line) for line in lines]


def _ticks(width: int) -> list[tuple[int, int]]:
    return [(hour, hour * (width - 1) // 24) for hour in _TICK_HOURS]


def _ruler(width: int) -> str:
    at = {column for _, column in _ticks(width)}
    return "".join("┴" if column in at else "─" for column in range(width))


def _hours(width: int) -> str:
    line = [" "] * (width + 4)
    for hour, column in _ticks(width):
        text = f"{hour} h" if hour == 24 else str(hour)
        start = min(column, width - len(text))
        line[start : start + len(text)] = text
    return "".join(line).rstrip()


# --- SVG


def as_svg(day: Day, title: str, exponent: int, unit: str) -> str:
    """One picture: raw thin and grey, filtered above it, what was refused as red crosses."""
    scale = axis(day)
    across, down = _SVG_WIDTH - _LEFT - _RIGHT, _SVG_HEIGHT - _TOP - _BOTTOM

    def place(second: int, mantissa: int) -> tuple[float, float]:
        return round(_LEFT + second * across / DAY_S, 1), round(_TOP + (1 - scale.part(mantissa)) * down, 1)

    def line(values: Values, style: str) -> Iterator[str]:
        for run in runs(values):
            points = " ".join(f"{x:g},{y:g}" for x, y in _thinned([place(*point) for point in run]))
            if len(run) == 1:
                points += f" {points}"  # with round ends a dot
            yield f'<polyline points="{points}" fill="none" stroke-linecap="round" {style}/>'

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SVG_WIDTH} {_SVG_HEIGHT}"'
        ' font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_SVG_WIDTH}" height="{_SVG_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="16">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="38" fill="#555">{escape(summary(day))}</text>',
        *_svg_axes(scale, exponent, unit, across, down),
        *line(day.raw, 'stroke="#999" stroke-width="1"'),
        *line(day.filtered, 'stroke="#06c" stroke-width="1.5"'),
    ]
    for second, mantissa, reason in day.refused:
        x, y = place(second, mantissa)
        cross = f"M{x - 4:g} {y - 4:g}l8 8m0 -8l-8 8"
        told = escape(f"{shown(mantissa, exponent, unit)}: {reason}")
        lines.append(f'<path d="{cross}" stroke="#c00" stroke-width="1.5"><title>{told}</title></path>')
    legend = (("#999", "raw"), ("#06c", "filtered"), ("#c00", "refused or replaced"))
    for at, (colour, words) in enumerate(legend):
        x = _LEFT + 150 * at
        lines.append(f'<text x="{x}" y="{_SVG_HEIGHT - 8}" fill="{colour}">{words}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _thinned(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """At most four points in a column of one pixel: the first, the extremes, the last."""
    column: list[tuple[float, float]] = []
    for point in [*points, None]:
        if column and (point is None or int(point[0]) != int(column[0][0])):
            extremes = (min(column, key=lambda p: p[1]), max(column, key=lambda p: p[1]))
            kept = {column[0], *extremes, column[-1]}
            yield from sorted(kept, key=column.index)
            column = []
        if point is not None:
            column.append(point)


def _svg_axes(scale: Axis, exponent: int, unit: str, across: int, down: int) -> Iterator[str]:
    for quarter in range(5):
        y = _TOP + down - down * quarter / 4
        told = escape(shown(scale.low + (scale.high - scale.low) * quarter // 4, exponent, unit))
        yield f'<path d="M{_LEFT} {y:g}h{across}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:g}" text-anchor="end">{told}</text>'
    for hour in range(0, 25, 3):
        x = _LEFT + across * hour / 24
        yield f'<path d="M{x:g} {_TOP}v{down}" stroke="#ddd"/>'
        yield f'<text x="{x:g}" y="{_TOP + down + 18}" text-anchor="middle">{hour} h</text>'
