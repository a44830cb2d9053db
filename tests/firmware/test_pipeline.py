"""process.pipeline against a plain model, and its rules one by one."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import quality
from gateway.core.record import Round
from gateway.core.schema import MOST_STREAMS
from gateway.process.pipeline import Pipeline

TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
PARTIAL = quality.pack(quality.UNCERTAIN, quality.PARTIAL)
NO_DATA = (0, quality.pack(quality.BAD, quality.NO_DATA))
OUT = quality.pack(quality.BAD, quality.OUT_OF_RANGE)
WINDOWED = ["mean", "min", "max", "last", "delta"]


def site(*points):
    """A compiled site of points (filters, [(output, stream id, class, period)])."""
    outputs = sorted(output[1:] for _, outputs in points for output in outputs)
    ids = [stream_id for stream_id, _, _ in outputs]
    return {
        "streams": [
            [stream_id, f"d/{stream_id}", "V", -1, "gauge", cls, period, 0] for stream_id, cls, period in outputs
        ],
        "derived": [],
        "points": [
            [f"p{i}", -1, specs, [[output, ids.index(stream_id)] for output, stream_id, _, _ in outputs]]
            for i, (specs, outputs) in enumerate(points)
        ],
    }


def made(body):
    return Pipeline(body, None, None)


def take(pipeline):
    """[(class, period, urgent, [(stream id, mantissa, quality byte)])] of what the pipeline has to report."""
    taken = []
    for _, schema, urgent, values, marks in pipeline.finish(0, True):
        samples = list(Round(schema, 1, 1, True, 0, 0, values, marks).samples())
        assert {exponent for _, exponent, _, _ in samples} <= {-1}
        taken.append((schema.cls, schema.period, urgent, [(stream, *rest) for stream, _, *rest in samples]))
    return taken


def run(pipeline, slots, readings):
    """{slot: what it took}; readings: {slot: [(point, mantissa, quality byte)]}."""
    taken = {}
    for slot in slots:
        pipeline.begin(slot, slot)
        for reading in readings.get(slot, []):
            pipeline.offer(*reading)
        taken[slot] = take(pipeline)
    return taken


def test_readings_become_rounds_by_class_and_period():
    pipeline = made(
        site(
            ([], [("each", 9, 2, 10)]),
            ([["range", 0, 100]], [("each", 4, 2, 10)]),
            ([], [("each", 1, 1, 60)]),
            ([], [("each", 2, 2, 5)]),
        )
    )
    pipeline.begin(60, 60)
    for point, mantissa in enumerate((7, 101, 5, 3)):
        pipeline.offer(point, mantissa, 0)
    assert take(pipeline) == [
        (1, 60, True, [(1, 5, 0)]),
        (2, 5, True, [(2, 3, 0)]),
        (2, 10, True, [(4, 101, OUT), (9, 7, 0)]),
    ]
    assert take(pipeline) == []
    pipeline.begin(65, 65)
    pipeline.offer(3, 4, TIMEOUT)
    assert take(pipeline) == [(2, 5, False, [(2, 4, TIMEOUT)])]
    assert pipeline.latest(0) == (7, 0) and pipeline.latest(1) == (101, OUT) and pipeline.latest(3) == (4, TIMEOUT)


def test_many_streams_make_several_rounds_each_of_its_own_schema():
    count = MOST_STREAMS + 5
    pipeline = made(site(*[([], [("each", i, 2, 10)]) for i in range(count)]))
    pipeline.begin(10, 10)
    for point in range(count):
        pipeline.offer(point, point, 0)
    taken = pipeline.finish(0, True)
    assert [number for number, *_ in taken] == [0, 1]
    assert [len(schema.ids) for _, schema, *_ in taken] == [MOST_STREAMS, 5]
    assert [value for *_, values, _ in taken for value in values] == list(range(count))


def test_latest_is_none_before_the_first_reading():
    pipeline = made(site(([], [("each", 1, 2, 10)])))
    assert pipeline.latest(0) is None
    pipeline.offer(0, 0, 0)
    assert pipeline.latest(0) == (0, 0)


def test_a_stream_that_reports_for_the_first_time_makes_its_group_urgent():
    pipeline = made(site(([], [("each", 1, 2, 10)]), ([], [("each", 2, 2, 10)])))
    taken = run(pipeline, (0, 10, 20), {0: [(0, 1, 0)], 10: [(0, 2, 0), (1, 2, TIMEOUT)], 20: [(0, 3, 0), (1, 3, 0)]})
    assert [groups[0][2] for groups in taken.values()] == [True, True, False]


def test_a_window_begins_with_a_first_value_at_once():
    outputs = [(output, i, 2, 10) for i, output in enumerate(WINDOWED)]
    pipeline = made(site(([], outputs)))
    taken = run(pipeline, range(20, 41, 5), {20: [(0, 7, 0)], 25: [(0, 10, 0)], 30: [(0, 20, 0)], 35: [(0, 22, 0)]})
    assert taken[20] == [(2, 10, True, [(0, 7, PARTIAL), (1, 7, PARTIAL), (2, 7, PARTIAL), (3, 7, PARTIAL)])]
    assert taken[25] == taken[35] == []
    assert taken[30] == [(2, 10, True, [(0, 8, 0), (1, 7, 0), (2, 10, 0), (3, 10, 0), (4, 3, PARTIAL)])]
    assert taken[40] == [(2, 10, False, [(0, 21, 0), (1, 20, 0), (2, 22, 0), (3, 22, 0), (4, 12, 0)])]


def test_a_window_that_began_before_boot_is_partial():
    pipeline = made(site(([], [("last", 1, 2, 10)])))
    taken = run(pipeline, (7, 8, 10, 20), {7: [(0, 1, 0)], 8: [(0, 2, 0)], 10: [(0, 3, 0)]})
    assert taken[7] == [(2, 10, True, [(1, 1, PARTIAL)])]
    assert taken[10] == [(2, 10, False, [(1, 2, PARTIAL)])]
    assert taken[20] == [(2, 10, False, [(1, 3, 0)])]


def test_a_silent_point_is_reported_but_not_for_the_time_before_boot():
    pipeline = made(site(([], [("last", 1, 2, 10), ("delta", 2, 2, 10)])))
    taken = run(pipeline, (7, 10, 20), {})
    assert taken[10] == []
    assert taken[20] == [(2, 10, True, [(1, *NO_DATA), (2, *NO_DATA)])]


def test_a_bad_first_reading_stays_bad():
    pipeline = made(site(([], [("mean", 1, 2, 10)])))
    assert run(pipeline, [10], {10: [(0, 0, TIMEOUT)]})[10] == [(2, 10, True, [(1, 0, TIMEOUT)])]


def test_windows_survive_a_clock_that_is_set_and_a_slot_that_is_missed():
    pipeline = made(site(([], [("last", 1, 2, 10)])))
    slots = (50, 55, 800000003, 800000010, 800000021, 800000030)
    taken = run(pipeline, slots, {slot: [(0, slot, 0)] for slot in slots})
    assert taken[800000003] == [(2, 10, False, [(1, 55, PARTIAL)])]
    assert taken[800000010] == [(2, 10, False, [(1, 800000003, PARTIAL)])]
    assert taken[800000021] == [(2, 10, False, [(1, 800000010, PARTIAL)])]
    assert taken[800000030] == [(2, 10, False, [(1, 800000021, PARTIAL)])]


@st.composite
def days(draw):
    """(points, first slot, {slot: readings}) of a made-up site over some minutes."""
    points, stream_id = [], 0
    for _ in range(draw(st.integers(1, 5))):
        period = draw(st.sampled_from([1, 2, 5]))
        cls = draw(st.integers(0, 2))
        specs = draw(st.sampled_from([[], [["range", -50, 50]]]))
        outputs = draw(st.one_of(st.just(["each"]), st.lists(st.sampled_from(WINDOWED), min_size=1, unique=True)))
        if outputs != ["each"]:
            period = draw(st.sampled_from([10, 20]))
        points.append((specs, [(output, stream_id + i, cls, period) for i, output in enumerate(outputs)]))
        stream_id += len(outputs) + draw(st.integers(0, 1))
    first = draw(st.integers(0, 40))
    reading = st.tuples(st.integers(-99, 99), st.sampled_from([0, 0, 0, TIMEOUT]))
    slots = {}
    for slot in range(first, first + draw(st.integers(1, 60))):
        slots[slot] = [
            (point, *draw(reading)) for point in range(len(points)) if slot % 5 == 0 or draw(st.integers(0, 3)) == 0
        ]
    return points, first, slots


def model(points, first, slots):
    """{slot: {stream id: (mantissa, quality byte)}} worked out from the whole history."""
    reported = {slot: {} for slot in slots}
    for index, (specs, outputs) in enumerate(points):
        history = []  # (slot, mantissa, quality byte) behind the filters
        for slot, readings in slots.items():
            for point, mantissa, quality_byte in readings:
                if point == index:
                    out = specs and not quality_byte and not -50 <= mantissa <= 50
                    history.append((slot, mantissa, OUT if out else quality_byte))
        for output, stream_id, _, period in outputs:
            if output == "each":
                for slot, mantissa, quality_byte in history:
                    reported[slot][stream_id] = (mantissa, quality_byte)
                continue
            for slot in slots:
                if slot % period or slot == first:
                    continue
                result = windowed(output, history, slot - period, slot, first)
                if result:
                    reported[slot][stream_id] = result
            if output != "delta" and history:
                slot, mantissa, quality_byte = history[0]
                if not any(stream_id in reported[earlier] for earlier in range(first, slot + 1)):
                    reported[slot][stream_id] = (mantissa, quality_byte if quality_byte >> 6 == 2 else PARTIAL)
    return reported


def windowed(output, history, start, end, first):
    inside = [reading for reading in history if start <= reading[0] < end]
    good = [mantissa for _, mantissa, quality_byte in inside if not quality_byte]
    if not inside and start < first:
        return None
    if not good:
        return NO_DATA
    flaw = PARTIAL if len(good) < len(inside) or start < first else 0
    if output == "delta":
        earlier = [reading for reading in history if reading[0] < start and not reading[2]]
        if not earlier or earlier[-1][0] < max(first, start - (end - start)):
            flaw = PARTIAL
        return good[-1] - (earlier[-1][1] if earlier else good[0]), flaw
    value = {"mean": round(Fraction(sum(good), len(good))), "min": min(good), "max": max(good), "last": good[-1]}
    return value[output], flaw


@given(days())
@settings(max_examples=150)
def test_against_the_model(day):
    points, first, slots = day
    wanted = model(points, first, slots)
    group_of = {stream_id: (cls, period) for _, outputs in points for _, stream_id, cls, period in outputs}
    heard = set()
    for slot, groups in run(made(site(*points)), slots, slots).items():
        assert [group[:2] for group in groups] == sorted({group_of[stream_id] for stream_id in wanted[slot]})
        for cls, period, urgent, samples in groups:
            ids = sorted(stream_id for stream_id in wanted[slot] if group_of[stream_id] == (cls, period))
            assert samples == [(stream_id, *wanted[slot][stream_id]) for stream_id in ids]
            assert urgent == (not heard.issuperset(ids))
            heard.update(ids)
