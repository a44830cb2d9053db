"""Framing: what goes in comes out, in whatever pieces it came."""

from hypothesis import given
from hypothesis import strategies as st

from satama_sim.chip import slip


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 17))
def test_packets_come_out_as_they_went_in(packets, step):
    wire = b"".join(map(slip.encode, packets))
    decoder = slip.Decoder()
    out = []
    for at in range(0, len(wire), step):
        out += decoder.feed(wire[at : at + step])
    assert out == packets


def test_the_special_bytes():
    assert slip.encode(b"\xc0\xdb\x00") == b"\xc0\xdb\xdc\xdb\xdd\x00\xc0"


@given(st.binary(max_size=200))
def test_after_any_rubbish_the_next_packet_is_whole(rubbish):
    decoder = slip.Decoder()
    decoder.feed(rubbish)
    assert decoder.feed(slip.encode(b"again"))[-1] == b"again"


def test_a_packet_without_end_is_dropped_and_holds_no_memory():
    decoder = slip.Decoder()
    for _ in range(100):
        assert decoder.feed(b"x" * 4096) == []
    assert len(decoder._open) <= slip.LIMIT
    assert decoder.feed(b"\xc0") == []
    assert decoder.feed(slip.encode(b"next")) == [b"next"]
