"""How the tests of process.derived feed a derivation, and what they feed it with."""

from hypothesis import strategies as st

from gateway.core import quality
from gateway.process import derived

LIMIT = 2**63 - 1
VALUES = st.integers(-6, 6) | st.integers(-600, 600) | st.sampled_from([LIMIT, -LIMIT]) | st.integers(-LIMIT, LIMIT)
TIMEOUT = quality.pack(quality.BAD, quality.TIMEOUT)
INVALID = quality.pack(quality.BAD, quality.INVALID)
STALE = quality.pack(quality.UNCERTAIN, quality.STALE)
MISSING = quality.pack(quality.BAD, quality.INCOMPLETE)
PARTLY = quality.pack(quality.UNCERTAIN, quality.INCOMPLETE)
ESTIMATED = quality.pack(quality.UNCERTAIN, quality.ESTIMATED)
OVERFLOW = (0, quality.pack(quality.BAD, quality.OVERFLOW))
QUALITIES = st.sampled_from([0, 0, 0, 0, 0, TIMEOUT, INVALID, STALE])
STEPS = st.integers(0, 5) | st.sampled_from([1, 1, 1, 10, 60, -7, -3600, 2**31])


def is_bad(reading):
    return reading[1] >> 6 == quality.BAD


@st.composite
def histories(draw, sources=1, values=VALUES, steps=STEPS, most=50):
    """Calls of derive: (readings of all sources, uptime), in which the time falls now and then."""
    now_s, calls = draw(st.sampled_from([0, 1000, 2**30 - 3])), []
    row = st.tuples(*[st.tuples(values, QUALITIES)] * sources)
    for readings, step in draw(st.lists(st.tuples(row, steps), max_size=most)):
        now_s = max(0, now_s + step)
        calls.append((list(readings), now_s))
    return calls


def run(spec, calls, told=None):
    """What each call gives; events go to the list `told`."""
    step = derived.build(spec, lambda *event: (told if told is not None else []).append(event))
    fresh = (True,) * len(spec[1])
    return [step.derive(readings, fresh, now_s, now_s, True) for readings, now_s in calls]


def readings(values, every_s=10, start=0):
    """Calls with one good reading each."""
    return [([(value, 0)], start + every_s * at) for at, value in enumerate(values)]


def half_even(fraction):
    """A result, rounded as Python rounds fractions; None where it does not fit."""
    value = round(fraction)
    return value if abs(value) <= LIMIT else None
