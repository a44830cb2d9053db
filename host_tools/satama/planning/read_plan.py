"""Which registers to ask for together: the cheapest set of reads for the values of one device, function and round.

A hole between two values is asked for and thrown away where that costs less than another request. Dynamic programming
over the values in the order of their addresses: disjoint contiguous reads take consecutive values, so the cheapest way
to read the first k of them extends the cheapest way to read the first j with one read of the rest, for some j < k.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """One read: `count` registers (or bits) from `start` on; `members` are indexes of the values in it, by address."""

    start: int
    count: int
    members: tuple[int, ...]


def plan(
    values: Sequence[tuple[int, int, int]],
    most: int,
    forbidden: Iterable[tuple[int, int]],
    cost: Callable[[int, int], int],
) -> list[Span]:
    """The cheapest disjoint reads that together hold every value whole, by address; among equals the shortest ones.

    values     (address, size, turnaround in microseconds), sizes of at least 1
    most       longest read that the device bears
    forbidden  (first, last) address ranges that no read may touch
    cost       microseconds of a read of `count`, whose slowest value takes that turnaround; never less for a larger one

    A read breaks `most` or touches a forbidden range only if one value alone does. Where overlapping values do not fit
    into one read, theirs overlap.
    """
    order = sorted(range(len(values)), key=lambda at: (values[at][0], -values[at][1]))
    spans = [(values[at][0], values[at][0] + values[at][1]) for at in order]
    holes = list(forbidden)

    def bearable(start: int, end: int) -> bool:
        return end - start <= most and not any(first < end and start <= last for first, last in holes)

    may_cut = _cuts(spans, bearable)
    # Of the first k values: cost, registers, where the last read begins.
    best: list[tuple[int, int, int] | None] = [(0, 0, 0)] + [None] * len(order)
    for first in range(len(order)):
        if not may_cut[first]:
            continue
        start, own_end = spans[first]
        end = turnaround = 0
        for last in range(first, len(order)):
            end = max(end, spans[last][1])
            if end > own_end and not bearable(start, end):
                break  # nor any longer one
            turnaround = max(turnaround, values[order[last]][2])
            if may_cut[last + 1]:
                count = end - start
                total = best[first][0] + cost(count, turnaround), best[first][1] + count, first
                known = best[last + 1]
                best[last + 1] = min(known, total) if known else total
    reads, k = [], len(order)
    while k:
        first = best[k][2]
        members = tuple(order[first:k])
        start = spans[first][0]
        reads.append(Span(start, max(end for _, end in spans[first:k]) - start, members))
        k = first
    return reads[::-1]


def _cuts(spans: list[tuple[int, int]], bearable: Callable[[int, int], bool]) -> list[bool]:
    """Whether a read may begin with the k-th value: not within a cluster of overlapping values that fits into one."""
    may_cut = [True] * (len(spans) + 1)
    first = 0
    while first < len(spans):
        (start, own_end), after = spans[first], first + 1
        end = own_end
        while after < len(spans) and spans[after][0] < end:
            end = max(end, spans[after][1])
            after += 1
        fits = end == own_end or bearable(start, end)
        for k in range(first + 1, after):
            may_cut[k] = not fits and spans[k] != spans[k - 1]
        first = after
    return may_cut
