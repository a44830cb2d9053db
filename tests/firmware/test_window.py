"""process.window against a calculation from all readings at once."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import quality
from gateway.process.window import Window

TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
STALE = quality.pack(quality.UNCERTAIN, quality.STALE)
PARTIAL = quality.pack(quality.UNCERTAIN, quality.PARTIAL)
NO_DATA = (0, quality.pack(quality.BAD, quality.NO_DATA))
OVERFLOW = (0, quality.pack(quality.BAD, quality.OVERFLOW))
ALL = ["mean", "min", "max", "last", "delta"]
LIMIT = 2**63 - 1

READINGS = st.lists(st.tuples(st.integers(-LIMIT, LIMIT), st.sampled_from([0, 0, 0, TIMEOUT, STALE])), max_size=6)


def expected(output, windows, whole):
    """The result of the last of these windows (lists of readings)."""
    usable = [[mantissa for mantissa, quality_byte in window if quality_byte >> 6 != 2] for window in windows]
    now = usable[-1]
    if not now:
        return NO_DATA
    qualities = [quality_byte for _, quality_byte in windows[-1]]
    flaw = PARTIAL if TIMEOUT in qualities or not whole else max(qualities)
    if output == "delta":
        earlier = [mantissa for window in usable[:-1] for mantissa in window]
        if len(usable) < 2 or not usable[-2]:
            flaw = PARTIAL
        delta = now[-1] - (earlier[-1] if earlier else now[0])
        return (delta, flaw) if abs(delta) <= LIMIT else OVERFLOW
    value = {"mean": round(Fraction(sum(now), len(now))), "min": min(now), "max": max(now), "last": now[-1]}[output]
    return value, flaw


@given(st.lists(st.tuples(READINGS, st.booleans()), max_size=6), st.permutations(ALL), st.integers(1, 5))
def test_windows(windows, outputs, many):
    outputs = outputs[:many]
    window = Window(outputs)
    for i, (readings, whole) in enumerate(windows):
        assert not window.fed
        for mantissa, quality_byte in readings:
            window.add(mantissa, quality_byte)
            assert window.fed
        so_far = [readings for readings, _ in windows[: i + 1]]
        assert window.close(whole) == [expected(output, so_far, whole) for output in outputs]


def test_the_deltas_of_a_counter_add_up_over_an_outage():
    window = Window(["delta"])
    deltas = []
    for readings in ([100, 104], [], [TIMEOUT], [130], [131]):
        for reading in readings:
            window.add(reading, TIMEOUT if reading == TIMEOUT else 0)
        deltas += window.close()
    assert deltas == [(4, PARTIAL), NO_DATA, NO_DATA, (26, PARTIAL), (1, 0)]


def test_the_mean_is_rounded_half_even():
    window = Window(["mean"])
    for pair, mean in (((0, 1), 0), ((1, 2), 2), ((-1, 0), 0), ((-2, -1), -2)):
        for mantissa in pair:
            window.add(mantissa, 0)
        assert window.close() == [(mean, 0)]


def test_memory_is_constant():
    window = Window(ALL)
    window.add(1, 0)
    before = {name: type(value) for name, value in vars(window).items()}
    for mantissa in range(1000):
        window.add(mantissa, 0)
    assert {name: type(value) for name, value in vars(window).items()} == before
    assert not any(isinstance(value, (list, dict)) for name, value in vars(window).items() if name != "outputs")
