"""Modbus TCP on the simulated network, asked and understood by pymodbus' client side."""

import struct
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from satama.profiles.library import load_profile
from satama_sim.bus import faults
from satama_sim.bus.devices import ModbusUnits
from satama_sim.bus.tcp_server import ModbusTcpServer
from satama_sim.network.net import Network
from satama_sim.timeline import Timeline
from satama_sim.world import build_world

SECOND = 1_000_000
PORT = 502
CLIENT = FramerSocket(DecodePDU(False))


class Client:
    """The board's end of a connection."""

    def __init__(self, lan):
        self.lan = lan
        self.open = self.ended = False
        self.error = self.taken = 0
        self.received = b""
        self.peer = lan.network.connect(self, lan.network.address("meters.lan"), PORT)

    def on_open(self):
        self.open = True

    def on_data(self, data):
        self.received += data

    def on_taken(self, count):
        self.taken += count

    def on_close(self, error=0):
        self.ended, self.error = True, error

    def answers(self, *segments, within=SECOND):
        """What comes back: [(transaction, unit, PDU), ...]."""
        for segment in segments:
            self.peer.send(segment)
        self.lan.wait(within)
        found, data, self.received = [], self.received, b""
        while data:
            used, unit, transaction, pdu = CLIENT.decode(data)
            assert used, data
            found.append((transaction, unit, pdu))
            data = data[used:]
        return found


class Lan:
    def __init__(self):
        rows = [SimpleNamespace(id=f"flat-{n}", profile="eastron-sdm120", bus="lan", unit=n) for n in (1, 2)]
        profile = load_profile("eastron-sdm120")
        compiled = SimpleNamespace(site=SimpleNamespace(devices=rows), profiles={"flat-1": profile, "flat-2": profile})
        self.timeline = Timeline()
        self.network = Network(self.timeline)
        self.units = ModbusUnits(compiled, build_world(compiled, 7, 1_750_000_000), "lan")
        self.server = ModbusTcpServer("lan", self.timeline, self.units)
        self.network.serve_locally("meters.lan", PORT, self.server.accept, lambda: self.server.connected)

    def wait(self, us):
        self.timeline.run_to(self.timeline.now_us + us)

    def client(self):
        client = Client(self)
        self.wait(SECOND)
        return client


def adu(transaction, unit, pdu):
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def read(transaction, unit=1, address=0, count=2, function=4):
    return adu(transaction, unit, struct.pack(">BHH", function, address, count))


@pytest.fixture
def lan():
    return Lan()


def test_a_request_and_its_answer(lan):
    client = lan.client()
    assert client.open and lan.server.connections == 1
    lan.units.world.set("flat-1", "voltage", 230)
    assert client.answers(read(0xABCD)) == [(0xABCD, 1, bytes.fromhex("04 04 43660000"))]
    assert client.taken == 12 and lan.server.requests == 1


def test_several_requests_in_a_segment_and_one_in_several(lan):
    client = lan.client()
    both = read(1) + read(2, unit=2) + read(3, address=300)
    assert [answer[:2] for answer in client.answers(both)] == [(1, 1), (2, 2), (3, 1)]
    torn = [both[at : at + 1] for at in range(len(both))]
    assert [answer[:2] for answer in client.answers(*torn)] == [(1, 1), (2, 2), (3, 1)]
    assert lan.server.requests == 6


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (read(1, unit=9), b"\x84\x0b"),
        (read(1, function=3), b"\x83\x01"),
        (read(1, address=9000), b"\x84\x02"),
        (read(1, count=126), b"\x84\x03"),
        (adu(1, 1, b"\x04\0\0"), b"\x84\x03"),
        (adu(1, 9, b"\x2b\x0e\x01\0"), b"\xab\x0b"),
    ],
)
def test_refusals(lan, sent, expected):
    assert lan.client().answers(sent) == [(1, sent[6], expected)]


def test_a_silent_unit_is_given_up_by_the_gateway_and_others_wait_for_it(lan):
    client = lan.client()
    lan.units.silence("flat-1")
    assert client.answers(read(1) + read(2, unit=2), within=900_000) == []
    first, second = client.answers(within=200_000)
    assert first == (1, 1, b"\x84\x0b") and second[:2] == (2, 2) and second[2][:2] == b"\x04\x04"


@pytest.mark.parametrize("head", [b"\0\1\0\1\0\6", b"\0\1\0\0\xff\xff", b"\0\1\0\0\0\1", b"GET / HTTP"])
def test_what_is_no_modbus_ends_the_connection(lan, head):
    client = lan.client()
    assert client.answers(head + b"\1\4\0\0\0\2") == []
    assert client.ended and lan.server.connections == 0


ANY = Lan()


@given(st.lists(st.binary(max_size=20), max_size=4), st.binary(min_size=1, max_size=30))
@settings(max_examples=200)
def test_any_bytes_are_borne(segments, pdu):
    client = ANY.client()
    client.answers(adu(1, 1, pdu), *segments)
    client.peer.close()
    ANY.wait(SECOND)
    assert ANY.server.connections == 0


def test_a_dropped_connection_and_a_new_one(lan):
    client = lan.client()
    lan.server.drop()
    lan.wait(SECOND)
    assert client.ended and client.error
    assert lan.client().answers(read(1))


def test_a_server_that_forgot_the_connection_resets_it_when_asked(lan):
    client = lan.client()
    lan.server.forget()
    lan.wait(SECOND)
    assert not client.ended
    assert client.answers(read(1)) == [] and client.error


def test_a_deaf_server_takes_everything_and_says_nothing(lan):
    client = lan.client()
    lan.server.deaf = True
    assert client.answers(read(1)) == [] and client.taken == 12 and not client.ended
    lan.server.deaf = False
    assert [answer[0] for answer in client.answers(read(2))] == [2]


def test_a_server_that_does_not_listen_refuses_and_so_does_a_full_one(lan):
    lan.server.listening = False
    client = lan.client()
    assert client.ended and client.error and not client.open
    lan.server.listening = True
    clients = [lan.client() for _ in range(lan.server.MOST_CONNECTIONS + 1)]
    assert [client.open for client in clients] == [True] * lan.server.MOST_CONNECTIONS + [False]


def test_connections_of_boards_that_lost_their_power_make_room(lan):
    lost = [lan.client() for _ in range(lan.server.MOST_CONNECTIONS)]
    for client in lost:
        client.peer.vanish()
    assert not lan.client().open
    lan.wait(lan.server.UNUSED_US)
    again = lan.client()
    assert again.open and lan.server.connections == lan.server.MOST_CONNECTIONS
    assert lan.client().open  # another one of those that are gone goes for it
    assert again.answers(read(1))


def test_faults_run_over_whole_answers(lan):
    client = lan.client()
    lan.server.faults.append(faults.wrong_transaction(-1))
    assert client.answers(read(5))[0][0] == 4
    lan.server.faults[:] = [faults.late(2 * SECOND)]
    assert client.answers(read(6)) == []
    assert [answer[0] for answer in client.answers(within=2 * SECOND)] == [6]
    lan.server.faults[:] = [faults.absurd_length(65_000)]
    client.peer.send(read(7))
    lan.wait(SECOND)
    assert client.received[:6] == b"\0\7\0\0\xfd\xe8"


def test_the_uplink_does_not_matter_but_the_plug_does(lan):
    client = lan.client()
    lan.network.uplink = False
    assert lan.network.resolve("meters.lan") == lan.network.address("meters.lan")
    assert client.answers(read(1))
    lan.server.connected = False
    assert client.answers(read(2)) == []
    assert not lan.client().open
    lan.server.connected = True
    assert [answer[0] for answer in client.answers(within=SECOND)] == [2], "it was sent again"
    assert lan.client().open
    lan.network.reachable = lambda: False
    assert lan.network.resolve("meters.lan") is None
    assert not lan.client().open
