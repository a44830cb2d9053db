"""process.derived: what alarms, against definitions that look at the whole history."""

from derived_runs import MISSING, TIMEOUT, histories, is_bad, readings, run
from hypothesis import given
from hypothesis import strategies as st

CALM = st.integers(0, 5) | st.sampled_from([1, 10, 60])


def reported(states, calls, heartbeat_s):
    """Of (state, quality) per call what is said: the first, every change, and the heartbeat."""
    said, last = [], None
    for state, (_, now_s) in zip(states, calls, strict=True):
        due = last is None or state != last[0] or now_s - last[1] >= heartbeat_s
        said.append([state if due else None])
        last = (state, now_s) if due else last
    return said


def confirmed(wishes, confirm):
    """State after each wish (None: unchanged), which must be uttered `confirm` times in a row."""
    state, row = 0, 0
    for wish in wishes:
        if wish is not None:
            row = row + 1 if wish(state) != state else 0
            if row >= confirm:
                state, row = 1 - state, 0
        yield state


@given(
    histories(values=st.integers(0, 60), steps=CALM),
    st.sampled_from([[], [50, 45], [30, 29]]),
    st.sampled_from([[10, 20], [3, 1], [25, 300]]),
    st.integers(1, 4),
    st.sampled_from([60, 1]),
)
def test_temperature_alarm(calls, limits, rises, confirm, heartbeat_s):
    bucket_s, good, wishes = -(-rises[1] // 16), [], []
    for [reading], now_s in calls:
        if is_bad(reading):
            wishes.append(None)
            continue
        x = reading[0]
        good.append((now_s // bucket_s, x))
        lowest = min(y for bucket, y in good if bucket >= now_s // bucket_s - 16)
        if x - lowest >= rises[0]:
            wishes.append(lambda state: 1)
        elif not limits:
            wishes.append(lambda state: 0)
        else:
            wishes.append(lambda state, x=x: 1 if x >= limits[0] else 0 if x <= limits[1] else state)
    states = list(confirmed(wishes, confirm))
    marks = [MISSING if is_bad(reading) else reading[1] for [reading], _ in calls]
    told = []
    spec = ["temperature_alarm", [7], [9], limits, rises, confirm, heartbeat_s]
    found = run(spec, calls, told)
    assert found == reported(list(zip(states, marks, strict=True)), calls, heartbeat_s)
    changes = [after for before, after in zip([0, *states], states, strict=False) if before != after]
    assert [event for event, _, _ in told] == [("temperature_normal", "temperature_alarm")[s] for s in changes]
    assert {point for _, point, _ in told} <= {7}


def test_fire_is_seen_long_before_the_limit_and_a_hot_day_is_none():
    told = []
    spec = ["temperature_alarm", [0], [1], [700, 680], [100, 120], 2, 3600]
    noon = [200 + at // 2 for at in range(400)]  # 20 K within an hour
    found = run(spec, readings([*noon, *[400 + 30 * at for at in range(6)]]), told)
    assert [state for [state] in found[:400] if state][1:] == [(0, 0)]  # the first, and one heartbeat
    assert told == [("temperature_alarm", 0, [("value", 550)])]


@given(histories(values=st.integers(-60, 60), steps=CALM), st.integers(-20, 20), st.integers(1, 4))
def test_tilt(calls, upright, confirm):
    def wish(x):
        return lambda state: 1 if abs(x - upright) >= 30 else 0 if abs(x - upright) <= 25 else state

    wishes = [None if is_bad(reading) else wish(reading[0]) for [reading], _ in calls]
    marks = [MISSING if is_bad(reading) else reading[1] for [reading], _ in calls]
    states = list(zip(confirmed(wishes, confirm), marks, strict=True))
    assert run(["tilt", [0], [1], upright, 30, 25, confirm, 600], calls) == reported(states, calls, 600)


@given(
    histories(2, values=st.integers(0, 3), steps=CALM, most=80),
    st.sampled_from([[], [0, 20, 60], [1, 5, 300]]),
    st.sampled_from([[0, 1, 15], [1, 0, 1]]),
)
def test_leak(calls, resting, closed):
    """Second by second: what was known to flow, to rest, and to flow through a closed valve."""
    states = []
    quiet = awake = ran = 0
    before = None
    for (flow, valve), now_s in calls:
        here = {
            "known": not is_bad(flow),
            "rests": bool(resting) and not is_bad(flow) and flow[0] <= resting[0],
            "runs": not is_bad(flow) and not is_bad(valve) and valve[0] == closed[0] and flow[0] > closed[1],
        }
        both = {key: here[key] and before is not None and before[0][key] for key in here}
        for _ in range(now_s - before[1] if before else 0):
            awake += both["known"]
            quiet = quiet + 1 if both["rests"] else 0
            ran = ran + 1 if both["runs"] else 0
        quiet, ran = quiet * both["rests"], ran * both["runs"]
        if resting and quiet >= resting[1]:
            awake = 0
        before = here, now_s
        state = ran >= closed[2] or (bool(resting) and awake >= resting[2])
        bad = is_bad(flow) or is_bad(valve)
        states.append((int(state), MISSING if bad else flow[1] or valve[1]))
    assert run(["leak", [0, 1], [2], resting, closed, 60], calls) == reported(states, calls, 60)


def test_a_dripping_tap_is_found_after_a_day_and_a_night_at_rest_is_enough():
    spec = ["leak", [5], [9], [0, 3600, 86400], [], 86400]
    drips, told = [([(2, 0)], at * 60) for at in range(1500)], []
    states = [state for [state] in run(spec, drips, told)]
    assert states.index((1, 0)) * 60 == 86400
    assert told == [("leak_suspected", 5, [("cause", "no_rest"), ("flow", 2)])]
    rests = [([(0 if 200 <= at <= 260 else 2, 0)], at * 60) for at in range(1500)]
    assert run(spec, rests, told)[0] == [(0, 0)] and len(told) == 1
    silent = [([(2, TIMEOUT if 100 <= at <= 300 else 0)], at * 60) for at in range(1500)]
    assert all(state is None or state[0] == 0 for [state] in run(spec, silent))  # three hours are not known


def test_water_through_a_closed_valve_is_told_with_its_cause_and_its_end():
    spec, told = ["leak", [5, 6], [9], [], [0, 3, 60], 86400], []
    rows = [(9, 1), *[(9, 0)] * 8, (9, 1)]
    calls = [([(flow, 0), (valve, 0)], at * 10) for at, (flow, valve) in enumerate(rows)]
    states = [state for [state] in run(spec, calls, told)]
    assert states == [(0, 0), *[None] * 6, (1, 0), None, (0, 0)]
    assert told == [
        ("leak_suspected", 5, [("cause", "closed_valve"), ("flow", 9)]),
        ("leak_over", 5, [("cause", "closed_valve"), ("flow", 9)]),
    ]


def test_a_rise_may_take_a_sixteenth_longer_and_no_more():
    for now_s, state in ((16, 1), (17, 0)):
        calls = [([(0, 0)], 0), ([(10, 0)], now_s)]
        found = run(["temperature_alarm", [0], [1], [], [10, 16], 1, 1], calls)
        assert found[1] == [(state, 0)]
