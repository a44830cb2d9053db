"""Reads that devices refuse are cut, and a cut that proves itself is learned."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.acquire.modbus.cuts import MOST_VERDICTS, best_cut, halves, recall, verdicts
from gateway.acquire.modbus.reads import Part, Read

SIZES = {"u16": 1, "s32": 2, "f64": 4, "bcd32": 2}


class Device:
    def __init__(self, name="meter"):
        self.name = name


def field(point, offset, kind="u16", more=None):
    made = [point, offset, kind, "ABCD", 1, 0, []]
    return [*made, more] if more else made


def read_of(fields, address=100, function=3, unit=None):
    count = max(f[1] + SIZES[f[2]] for f in fields)
    return Read([0, function, address, count, 20, 500, fields], unit or Device())


@st.composite
def layouts(draw):
    fields, at = [], 0
    for point in range(draw(st.integers(1, 12))):
        at += draw(st.integers(0, 9))
        kind = draw(st.sampled_from(sorted(SIZES)))
        fields.append(field(point, at, kind))
        at += SIZES[kind]
    first = fields[0][1]
    for made in fields:
        made[1] -= first
    return fields


@given(layouts())
def test_a_cut_keeps_every_value_whole_and_in_its_place(fields):
    part = read_of(fields).parts[0]
    cut = best_cut(part)
    if len(fields) == 1:
        assert cut == 0
        return
    assert 0 < cut < part.count
    made = halves(part, cut)
    where = sorted((f[0], half.address + f[1]) for half in made for f in half.fields)
    assert where == [(f[0], part.address + f[1]) for f in fields]
    for half in made:
        assert half.fields and min(f[1] for f in half.fields) == 0
        assert half.count == max(f[1] + SIZES[f[2]] for f in half.fields)
        assert half.count < part.count


@given(layouts())
def test_cutting_comes_to_an_end(fields):
    parts = list(read_of(fields).parts)
    singles = 0
    while parts:
        part = parts.pop()
        cut = best_cut(part)
        if cut:
            parts += halves(part, cut)
        else:
            singles += 1
    assert singles == len(fields)


def test_a_hole_is_suspected_before_the_middle():
    part = read_of([field(0, 0), field(1, 1), field(2, 20), field(3, 21), field(4, 22), field(5, 23)]).parts[0]
    assert best_cut(part) == 20


def test_without_a_hole_the_middle_is_cut():
    part = read_of([field(point, 2 * point, "s32") for point in range(40)]).parts[0]
    assert best_cut(part) == 40


def test_a_value_stays_with_its_scale_register():
    part = Part(0, 20, [field(0, 0, "u16", ["scale", 9]), field(1, 4), field(2, 12)])
    assert best_cut(part) == 12
    low, high = halves(part, 12)
    assert (low.address, low.count) == (0, 10) and (high.address, high.count) == (12, 1)
    part = Part(0, 20, [field(0, 0), field(1, 12, "u16", ["scale", 15])])
    assert halves(part, 12)[1].fields == [field(1, 0, "u16", ["scale", 3])]


def test_the_same_cut_three_times_in_a_row_is_learned():
    read = read_of([field(0, 0), field(1, 30)])
    [part] = read.parts
    assert not read.refused(part, 30, 9000)
    assert not read.refused(part, 30, 9000)
    assert read.refused(part, 30, 9001)
    assert [(p.address, p.count) for p in read.parts] == [(100, 1), (130, 1)]
    assert read.cuts == [[130, 9001]]


def test_an_answer_clears_the_suspicion():
    read = read_of([field(0, 0), field(1, 30)])
    [part] = read.parts
    for _ in range(20):  # a noisy line: refusals, but never three in a row
        read.refused(part, 30, 9000)
        read.refused(part, 30, 9000)
        read.taken(part)
    assert not read.cuts and len(read.parts) == 1


def test_what_is_learned_expires_and_is_learned_again_by_one_refusal():
    read = read_of([field(0, 0), field(1, 30)])
    read.adopt(130, 9000)
    assert not read.expire(9006)
    assert read.expire(9007)
    [part] = read.parts
    assert not read.cuts
    assert read.refused(part, 30, 9007)
    assert not read.expire(9008)


def test_without_a_calendar_nothing_expires():
    read = read_of([field(0, 0), field(1, 30)])
    read.adopt(130, 0)
    assert not read.expire(9999)
    read.adopt(110, 9000)
    assert not read.expire(0)


def test_verdicts_survive_a_restart_and_another_layout_of_the_reads():
    read = read_of([field(0, 0), field(1, 30)])
    read.adopt(130, 9000)
    kept = verdicts([read], lambda unit: 77)
    wider = read_of([field(0, 0), field(1, 20), field(2, 40)], address=90)
    other_function = read_of([field(0, 0), field(1, 30)], function=4)
    recall([wider, other_function], kept, lambda unit: 77)
    assert [(p.address, p.count) for p in wider.parts] == [(90, 21), (130, 1)]
    assert len(other_function.parts) == 1
    stranger = read_of([field(0, 0), field(1, 30)])
    recall([stranger], kept, lambda unit: 78)
    assert len(stranger.parts) == 1


def test_a_verdict_that_would_cut_a_value_does_nothing():
    read = read_of([field(0, 0, "f64"), field(1, 10)])
    kept = b"".join([verdicts([made], lambda unit: 1) for made in [read_of([field(0, 0), field(1, 2)])]])
    assert kept == b""
    read.adopt(102, 9000)
    assert len(read.parts) == 1


@given(st.binary(max_size=500))
def test_a_damaged_memory_does_no_harm(data):
    read = read_of([field(0, 0), field(1, 30)])
    recall([read], data, lambda unit: 0)
    assert sorted(f[0] for part in read.parts for f in part.fields) == [0, 1]


def test_the_memory_is_bounded_and_keeps_the_newest():
    reads = []
    for at in range(MOST_VERDICTS + 20):
        read = read_of([field(0, 0), field(1, 30)], address=100 * at)
        read.adopt(100 * at + 30, 9000 + at)
        reads.append(read)
    data = verdicts(reads, lambda unit: 1)
    assert len(data) == 9 * MOST_VERDICTS <= 512
    fresh = [read_of([field(0, 0), field(1, 30)], address=100 * at) for at in range(MOST_VERDICTS + 20)]
    recall(fresh, data, lambda unit: 1)
    assert [len(read.parts) for read in fresh] == [1] * 20 + [2] * MOST_VERDICTS
