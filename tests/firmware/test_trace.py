"""The ring of the last frames."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.acquire.modbus.trace import PLACES, Trace

frames = st.tuples(
    st.integers(0, 2**40),
    st.integers(0, 255),
    st.binary(max_size=256),
    st.integers(0, 2**32 - 1),
    st.integers(0, 15),
    st.integers(0, 255),
    st.binary(max_size=320),
    st.booleans(),
)


@given(st.lists(frames, max_size=80))
def test_the_last_frames_are_kept_in_order(noted):
    trace = Trace()
    for now_ms, unit, request, took_us, reason, number, reply, private in noted:
        trace.note(now_ms, unit, request, took_us, reason, number, reply, len(reply), private)
    expected = [
        (now_ms % 2**32, unit, request[:16], took_us, reason, number, len(reply), b"" if private else reply[:33])
        for now_ms, unit, request, took_us, reason, number, reply, private in noted[-PLACES:]
    ]
    assert list(trace.rows()) == expected


def test_what_is_private_is_not_even_in_memory():
    trace = Trace()
    trace.note(1, 2, b"ask", 3, 0, 0, b"secret", 6, True)
    assert b"secret" not in bytes(trace._ring)
