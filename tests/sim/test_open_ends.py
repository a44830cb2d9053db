"""Doors to the outside that nobody reads: no write waits for ever, and what is closed is closed."""

import os
import pty
import socket
import threading
import tty

import pytest

from satama_sim.board.uart import SimUart
from satama_sim.network.far_end import FrozenRelay, LiveRelay
from satama_sim.network.net import Network
from satama_sim.ports import JoinedPtys, SerialBus
from satama_sim.timeline import RealClock, Timeline

MUCH = bytes(100_000)
SPEC = {"baud": 9600, "parity": "N", "stop_bits": 1}


def test_a_dongle_that_takes_nothing_does_not_hold_up_the_time():
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    timeline = Timeline()
    bus = SerialBus("rs485", os.ttyname(theirs), SPEC, timeline, RealClock())
    bus.transmit(SimUart(1, timeline), 0, 1042, MUCH)
    assert bus.requests == 1
    bus.close()
    bus.close()
    os.close(ours)
    os.close(theirs)


def test_a_wire_between_two_ports_ends_although_one_of_them_is_full():
    joined = JoinedPtys()
    descriptor = os.open(joined.paths[0], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    for _ in range(10):
        try:
            os.write(descriptor, MUCH[:4000])
        except BlockingIOError:
            break
    closing = threading.Thread(target=joined.close, daemon=True)
    closing.start()
    closing.join(20)
    os.close(descriptor)
    assert not closing.is_alive()


@pytest.mark.parametrize("kind", [FrozenRelay, LiveRelay])
def test_a_relay_that_is_closed_gives_back_the_connection_of_a_board_that_is_gone(kind):
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
        relay = FrozenRelay(*place) if kind is FrozenRelay else LiveRelay(RealClock(), *place)
        network = Network(Timeline())
        network.tcp[b"\x0a\x4d\x01\x01", 1883] = relay.accept
        peer = network.connect(_Deaf(), b"\x0a\x4d\x01\x01", 1883)
        network.timeline.run_to(1_000_000)
        far, _ = server.accept()
        peer.vanish()
        relay.close()
        far.settimeout(5)
        assert far.recv(1) == b""
        far.close()


class _Deaf:
    """A socket of a board that hears nothing."""

    def on_open(self):
        pass

    on_close = on_open
