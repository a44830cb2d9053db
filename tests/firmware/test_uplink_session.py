"""uplink.mqtt.session: ids, PUBACKs in any order, and what is sent again after a reconnect."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.uplink.mqtt.session import Session


def started(session, size=100, now_ms=0):
    packet = session.begin(b"t", tuple, None, False)
    session.written(packet, size, now_ms)
    return packet


def test_ids_wrap_and_skip_those_in_flight():
    session = Session(64, 1 << 20)
    first, second = started(session), started(session)
    assert (first.id, second.id) == (1, 2)
    for expected in range(3, 65536):
        assert session.acknowledged(started(session).id).id == expected
    assert started(session).id == 3  # 1 and 2 are still in flight
    session.acknowledged(1)
    assert started(session).id == 4  # and 1 is not taken at once, though it is free: an answer to it may be late


@pytest.mark.parametrize("number", [1, 3, 65535])
def test_late_twice_and_unknown_pubacks_are_counted(number):
    session = Session(16, 1 << 20)
    kept, gone = started(session), started(session)
    assert session.acknowledged(gone.id) is gone
    assert session.acknowledged(gone.id) is None and session.strays == 1
    if number != kept.id:
        assert session.acknowledged(number) is None and session.strays == 2
    assert session.packets == [kept]


def test_what_was_not_sent_on_this_connection_cannot_be_acknowledged_on_it():
    session = Session(16, 1 << 20)
    packet = started(session)
    session.lost_connection()
    assert session.acknowledged(packet.id) is None and session.strays == 1
    session.written(packet, 100, 5)
    assert session.acknowledged(packet.id) is packet


def test_the_window_and_the_bytes_on_their_way():
    session = Session(3, 1000)
    packets = [started(session) for _ in range(3)]
    assert not session.room
    session.acknowledged(packets[1].id)
    assert session.room
    big = started(session, 5000)
    session.acknowledged(packets[0].id)
    assert len(session.packets) == 2 and not session.room
    session.acknowledged(big.id)
    session.acknowledged(packets[2].id)
    assert session.room and session.bytes == 0


def test_it_is_sent_again_oldest_first_and_once():
    session = Session(16, 1 << 20)
    packets = [started(session) for _ in range(5)]
    session.acknowledged(packets[3].id)
    session.lost_connection()
    again = []
    while (packet := session.unsent()) is not None:
        again.append(packet)
        session.written(packet, 100, 9)
    assert again == [packets[0], packets[1], packets[2], packets[4]]
    assert [packet.id for packet in again] == [1, 2, 3, 5]
    assert session.bytes == 400 and session.oldest_ms() == 9


def test_what_is_forgotten_is_not_sent_again_and_its_ids_are_not_taken_at_once():
    session = Session(16, 1 << 20)
    packet = started(session)
    session.forget()
    assert session.unsent() is None and session.oldest_ms() == -1 and session.bytes == 0
    assert session.acknowledged(packet.id) is None
    assert started(session).id == 2


class AnyOrder(RuleBasedStateMachine):
    """Against a model that is a dict: whatever happens, every packet is done exactly once, in the broker's order."""

    def __init__(self):
        super().__init__()
        self.session = Session(5, 600)
        self.flying = {}  # id -> [packet, sent on this connection]
        self.strays = 0

    @precondition(lambda self: self.session.room)
    @rule(size=st.integers(1, 400))
    def publish(self, size):
        packet = self.session.begin(b"t", tuple, None, False)
        assert packet.id not in self.flying and 1 <= packet.id <= 65535
        self.session.written(packet, size, 0)
        self.flying[packet.id] = [packet, True]

    @rule(number=st.integers(1, 30))
    def puback(self, number):
        packet, sent = self.flying.get(number, (None, False))
        if sent:
            assert self.session.acknowledged(number) is packet
            del self.flying[number]
        else:
            assert self.session.acknowledged(number) is None
            self.strays += 1

    @rule()
    def reconnect(self):
        self.session.lost_connection()
        for entry in self.flying.values():
            entry[1] = False

    @rule()
    def send_one_again(self):
        packet = self.session.unsent()
        waiting = [entry for entry in self.flying.values() if not entry[1]]
        assert (packet is None) == (not waiting)
        if waiting:
            assert packet is waiting[0][0]  # a dict keeps the order of its entries
            self.session.written(packet, packet.size, 0)
            waiting[0][1] = True

    @invariant()
    def agree(self):
        assert self.session.packets == [packet for packet, _ in self.flying.values()]
        assert self.session.bytes == sum(packet.size for packet, _ in self.flying.values())
        assert self.session.strays == self.strays
        assert len(self.session.packets) <= 5


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=40)


@given(st.permutations(range(1, 17)))
def test_pubacks_in_any_order(order):
    session = Session(16, 1 << 20)
    packets = [started(session) for _ in range(16)]
    assert [session.acknowledged(number).id for number in order] == list(order)
    assert session.packets == [] and session.room and packets
