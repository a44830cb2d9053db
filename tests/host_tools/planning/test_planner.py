"""The planner: as cheap as the cheapest of all plans where those can be listed, and never worse than what others do."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from satama.planning.read_plan import Span, plan

MOST_HOLE = 12


def costs(request, register, bits=False):
    """What a read costs: a request, its data (registers, or bits in whole bytes), and its slowest value's turnaround."""
    return lambda count, turnaround: request + register * ((count + 7) // 8 if bits else count) + turnaround


COSTS = st.builds(costs, st.integers(1, 60), st.integers(0, 6), st.booleans()) | st.just(lambda count, _: count * count)
VALUES = st.tuples(st.integers(0, 40), st.integers(1, 4), st.sampled_from([0, 0, 0, 5, 40]))
FORBIDDEN = st.lists(st.tuples(st.integers(0, 44), st.integers(0, 4)).map(lambda r: (r[0], r[0] + r[1])), max_size=3)


def apart(gaps):
    """Values that do not overlap, from [(hole before, size, turnaround)]."""
    values, at = [], 0
    for hole, size, turnaround in gaps:
        values.append((at + hole, size, turnaround))
        at += hole + size
    return values


def hull(group):
    return min(address for address, _, _ in group), max(address + size for address, size, _ in group)


def touches(start, end, forbidden):
    return any(register in range(first, last + 1) for first, last in forbidden for register in range(start, end))


def allowed(group, most, forbidden):
    """By the planner's promise: within the cap and clear of what is forbidden, unless one value alone demands it."""
    start, end = hull(group)
    if any((start, end) == (address, address + size) for address, size, _ in group):
        return True
    return end - start <= most and not touches(start, end, forbidden)


def groupings(items):
    """Every way to put the items into groups."""
    if not items:
        yield []
        return
    head, *tail = items
    for groups in groupings(tail):
        yield [[head], *groups]
        for at in range(len(groups)):
            yield [*groups[:at], [head, *groups[at]], *groups[at + 1 :]]


def cheapest(values, most, forbidden, cost):
    """The least cost among all groupings into disjoint, allowed, contiguous reads; None if there is no such grouping."""
    best = None
    for groups in groupings(values):
        spans = sorted(hull(group) for group in groups)
        if any(left[1] > right[0] for left, right in pairwise(spans)):
            continue
        if all(allowed(group, most, forbidden) for group in groups):
            total = sum(cost(hull(g)[1] - hull(g)[0], max(turnaround for _, _, turnaround in g)) for g in groups)
            best = total if best is None else min(best, total)
    return best


def total_cost(values, reads, cost):
    return sum(cost(read.count, max(values[at][2] for at in read.members)) for read in reads)


def check(values, most, forbidden, reads):
    """What holds of every plan: each value once and whole, reads just as long as their values need, all allowed."""
    assert sorted(at for read in reads for at in read.members) == list(range(len(values)))
    for read in reads:
        group = [values[at] for at in read.members]
        assert hull(group) == (read.start, read.start + read.count)
        assert allowed(group, most, forbidden)
    assert [read.start for read in reads] == sorted(read.start for read in reads)


@settings(max_examples=300)
@given(st.lists(VALUES, max_size=7), st.integers(1, 24), FORBIDDEN, COSTS)
@example([(0, 2, 0), (1, 2, 0), (8, 1, 40)], 3, [], costs(10, 1))
@example([(0, 2, 0), (0, 2, 5), (4, 2, 0)], 6, [(2, 3)], costs(50, 1))
def test_no_plan_is_cheaper(values, most, forbidden, cost):
    reads = plan(values, most, forbidden, cost)
    check(values, most, forbidden, reads)
    best = cheapest(values, most, forbidden, cost)
    if best is not None:
        assert total_cost(values, reads, cost) == best
        assert all(left.start + left.count <= right.start for left, right in pairwise(reads))


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4), st.sampled_from([0, 0, 5, 40])), min_size=1, max_size=8),
    st.integers(4, 24),
    FORBIDDEN,
    COSTS,
)
def test_no_plan_is_cheaper_where_nothing_overlaps(gaps, most, forbidden, cost):
    values = apart(gaps)
    reads = plan(values, most, forbidden, cost)
    check(values, most, forbidden, reads)
    assert total_cost(values, reads, cost) == cheapest(values, most, forbidden, cost)


def merged(values, most, forbidden, hole):
    """What others do: from left to right, a value joins the read before it when at most `hole` registers lie between."""
    groups = []
    for value in sorted(values):
        if groups and value[0] - hull(groups[-1])[1] <= hole and allowed([*groups[-1], value], most, forbidden):
            groups[-1].append(value)
        else:
            groups.append([value])
    return groups


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 4), st.sampled_from([0, 0, 0, 20])), min_size=1, max_size=120
    ),
    st.integers(4, 125),
    FORBIDDEN,
    COSTS,
)
def test_never_worse_than_merging_neighbours_or_across_fixed_holes(gaps, most, forbidden, cost):
    values = apart(gaps)
    reads = plan(values, most, forbidden, cost)
    check(values, most, forbidden, reads)
    ours = total_cost(values, reads, cost)
    for hole in range(MOST_HOLE + 1):
        groups = merged(values, most, forbidden, hole)
        theirs = sum(cost(hull(g)[1] - hull(g)[0], max(turnaround for _, _, turnaround in g)) for g in groups)
        assert ours <= theirs, hole


@settings(max_examples=150)
@given(st.lists(VALUES, max_size=60), st.integers(1, 30), FORBIDDEN, COSTS)
def test_values_are_whole_and_caps_hold_however_they_overlap(values, most, forbidden, cost):
    reads = plan(values, most, forbidden, cost)
    check(values, most, forbidden, reads)
    assert plan(values, most, forbidden, cost) == reads


def test_a_hole_is_read_over_when_that_is_cheaper_than_a_request():
    values = [(0, 2, 0), (7, 2, 0), (15, 2, 0)]
    assert plan(values, 80, [], costs(6, 1)) == [Span(0, 9, (0, 1)), Span(15, 2, (2,))]
    assert plan(values, 80, [], costs(7, 1)) == [Span(0, 17, (0, 1, 2))]
    assert plan(values, 80, [], costs(4, 1)) == [Span(0, 2, (0,)), Span(7, 2, (1,)), Span(15, 2, (2,))]


def test_among_equal_plans_the_one_with_fewer_registers_is_taken():
    assert plan([(0, 2, 0), (7, 2, 0)], 80, [], costs(5, 1)) == [Span(0, 2, (0,)), Span(7, 2, (1,))]
    assert plan([(0, 1, 0), (10, 1, 0), (11, 1, 0)], 11, [], costs(5, 0)) == [Span(0, 1, (0,)), Span(10, 2, (1, 2))]


def test_slow_values_wait_together():
    """Filling up from the left would pay the long turnaround twice."""
    values = [(0, 2, 0), (2, 2, 300), (4, 2, 300)]
    assert [read.members for read in plan(values, 4, [], costs(50, 1))] == [(0,), (1, 2)]


def test_the_first_seam_is_not_always_the_best_one():
    """Filling reads up from the left cuts at the cap; the hole is the better place."""
    values = [(0, 4, 0), (4, 4, 0), (14, 4, 0)]
    assert [read.count for read in plan(values, 16, [], costs(20, 1))] == [8, 4]
    values = [(0, 4, 0), (8, 4, 0), (12, 4, 0)]
    assert [read.count for read in plan(values, 12, [], costs(20, 1))] == [4, 8]


def test_forbidden_ranges_part_the_reads_around_them():
    values = [(0, 2, 0), (2, 2, 0), (5, 2, 0)]
    assert [read.members for read in plan(values, 80, [(4, 4)], costs(100, 1))] == [(0, 1), (2,)]
    assert [read.members for read in plan(values, 80, [(7, 9)], costs(100, 1))] == [(0, 1, 2)]


def test_equal_and_overlapping_values_share_a_read():
    values = [(10, 2, 0), (11, 1, 0), (10, 2, 0), (10, 4, 0)]
    assert plan(values, 4, [], costs(0, 1)) == [Span(10, 4, (3, 0, 2, 1))]


def test_overlapping_values_that_do_not_fit_together_are_read_by_overlapping_reads():
    """Such as two far values with one scale register behind both."""
    values = [(0, 11, 0), (2, 9, 0), (8, 6, 0)]
    assert plan(values, 11, [], costs(50, 1)) == [Span(0, 11, (0, 1)), Span(8, 6, (2,))]


@pytest.mark.parametrize(("most", "forbidden"), [(2, []), (80, [(4, 4)])])
def test_a_value_that_alone_breaks_a_limit_is_read_alone(most, forbidden):
    values = [(0, 2, 0), (2, 4, 0), (6, 2, 0)]
    assert [read.members for read in plan(values, most, forbidden, costs(50, 1))] == [(0,), (1,), (2,)]


def test_nothing_is_planned_for_nothing():
    assert plan([], 80, [], costs(1, 1)) == []
