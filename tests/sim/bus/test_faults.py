"""What goes wrong on a bus goes wrong as ordered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from satama_sim.bus import faults
from satama_sim.bus.faults import Noise

REPLY = bytes.fromhex("010402 1234".replace(" ", ""))
REPLY += FramerRTU.compute_CRC(REPLY).to_bytes(2, "big")


def fits(frame):
    return len(frame) >= 4 and FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


@given(st.integers(0, 1000), st.binary(min_size=2, max_size=60))
def test_no_damaged_frame_has_a_checksum_that_fits(seed, body):
    frame = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
    heard = Noise(seed, 100)(frame)
    assert heard != frame and not fits(heard)


def test_damage_that_the_checksum_cannot_see_is_drawn_again(monkeypatch):
    other = bytes(2) + FramerRTU.compute_CRC(bytes(2)).to_bytes(2, "big")
    noise, damages = Noise(1, 100), iter([REPLY, other, b"damaged"])
    monkeypatch.setattr(noise, "_damage", lambda frame: next(damages))
    assert noise(REPLY) == b"damaged"


def test_noise_damages_its_share_and_repeats_itself():
    noise, again, other = Noise(3, 30), Noise(3, 30), Noise(4, 30)
    heard = [noise(REPLY) for _ in range(2000)]
    assert heard == [again(REPLY) for _ in range(2000)] != [other(REPLY) for _ in range(2000)]
    assert noise.frames == 2000 and noise.damaged == sum(one != REPLY for one in heard)
    assert 500 < noise.damaged < 700
    assert {len(one) - len(REPLY) for one in heard} >= {-3, -1, 0, 1}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.dropped, []),
        (faults.late(50), [(REPLY, 150)]),
        (faults.leading(b"\xff"), [(b"\xff" + REPLY, 100)]),
        (faults.trailing(b"\0\0"), [(REPLY + b"\0\0", 100)]),
        (faults.truncated(4), [(REPLY[:4], 100)]),
        (faults.only({1}, faults.dropped), []),
        (faults.only({2}, faults.dropped), [(REPLY, 100)]),
        (faults.sometimes(1, 100, faults.dropped), []),
        (faults.sometimes(1, 0, faults.dropped), [(REPLY, 100)]),
    ],
)
def test_faults_of_an_answer(fault, expected):
    assert list(fault(1, REPLY, 100)) == expected


def test_answers_that_are_intact_but_not_the_one():
    ((longer, _),) = faults.oversized(2)(1, REPLY, 100)
    assert fits(longer) and longer[2] == 6 and len(longer) == len(REPLY) + 4
    ((other, _),) = faults.wrong_unit(9)(1, REPLY, 100)
    assert fits(other) and other[0] == 9 and other[1:-2] == REPLY[1:-2]


def test_an_answer_behind_its_request():
    behind = faults.Behind()
    assert [list(behind(1, reply, 5)) for reply in (b"a", b"b", b"c")] == [[], [(b"a", 5)], [(b"b", 5)]]
    assert list(behind(2, b"x", 5)) == [], "each unit has its own"


def test_faults_of_tcp():
    adu = bytes.fromhex("000700000005010402123a")
    ((other, _),) = faults.wrong_transaction(-8)(1, adu, 0)
    assert other == b"\xff\xff" + adu[2:]
    ((absurd, _),) = faults.absurd_length(60_000)(1, adu, 0)
    assert absurd == adu[:4] + b"\xea\x60" + adu[6:]
