"""One scripted session on our broker and on real mosquitto: every client must receive the same messages."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from satama_sim.broker import packets
from satama_sim.broker.packets import Connect, Publish, Will
from satama_sim.broker.serve import BrokerThread

TIMEOUT_S = 20


class Received(NamedTuple):
    """A message without its packet id, which brokers choose as they like."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False


class Client:
    """A blocking MQTT client on a raw socket that acknowledges what it takes, unless told otherwise."""

    def __init__(self, port: int, client_id: str, clean: bool = True, will: Will | None = None) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._received: list[Publish] = []
        self._packet_id = 0
        self._sock.sendall(packets.encode_connect(Connect(client_id, clean, 60, will)))
        self.connack = self._answer(packets.CONNACK)

    def subscribe(self, *filters: tuple[str, int]) -> bytes:
        """Return the granted QoS of each filter."""
        self._sock.sendall(packets.encode_subscribe(self._next_id(), filters))
        return self._answer(packets.SUBACK)[2:]

    def unsubscribe(self, *filters: str) -> None:
        self._sock.sendall(packets.encode_unsubscribe(self._next_id(), filters))
        self._answer(packets.UNSUBACK)

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, dup: bool = False) -> None:
        packet_id = self._next_id() if qos else 0
        self._sock.sendall(packets.encode_publish(topic, payload, qos, retain, dup, packet_id))
        if qos:
            assert self._answer(packets.PUBACK) == struct.pack(">H", packet_id)

    def take(self, count: int, acknowledge: bool = True) -> list[Received]:
        """Wait for the next `count` messages."""
        while len(self._received) < count:
            self._read_packet(None)
        taken, self._received = self._received[:count], self._received[count:]
        for message in taken:
            if message.qos and acknowledge:
                self._sock.sendall(packets.encode_puback(message.packet_id))
        return [Received(*message[:5]) for message in taken]

    def take_until(self, payload: bytes) -> list[Received]:
        """Wait for the message with this payload and return what came before it."""
        taken = self.take(1)
        while taken[-1].payload != payload:
            taken += self.take(1)
        return taken[:-1]

    def ping(self) -> None:
        """Return when the broker has handled all that was sent before."""
        self._sock.sendall(packets.PINGREQ_PACKET)
        self._answer(packets.PINGRESP)

    def send_and_be_closed(self, data: bytes) -> bytes:
        """Send and return what comes until the broker closes the connection."""
        self._sock.sendall(data)
        rest = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while piece := self._sock.recv(65_536):
                rest += piece
        self._sock.close()
        return bytes(rest)

    def disconnect(self) -> None:
        assert self.send_and_be_closed(packets.DISCONNECT_PACKET) == b""

    def kill(self) -> None:
        """End as a process does under kill -9 with unread data: a reset, no DISCONNECT."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def _next_id(self) -> int:
        self._packet_id += 1
        return self._packet_id

    def _answer(self, wanted: int) -> bytes:
        while (body := self._read_packet(wanted)) is None:
            pass
        return body

    def _read_packet(self, wanted: int | None) -> bytes | None:
        """Read one packet; keep it if it is a message, else it must be the `wanted` one: return its body."""
        while (packet := packets.cut_packet(self._buffer)) is None:
            piece = self._sock.recv(65_536)
            assert piece, "the broker closed the connection"
            self._buffer += piece
        first_byte, body, end = packet
        del self._buffer[:end]
        if first_byte >> 4 == packets.PUBLISH:
            self._received.append(packets.parse_publish(first_byte & 15, body))
            return None
        assert first_byte >> 4 == wanted
        return body


def retained_messages(port: int) -> Iterator[object]:
    publisher, bystander = Client(port, "publisher"), Client(port, "bystander")
    publisher.publish("r/1", b"old", 1, retain=True)
    publisher.publish("r/1", b"new", 1, retain=True)
    publisher.publish("r/2", b"two", 0, retain=True)
    publisher.publish("r/3", b"removed", 1, retain=True)
    publisher.publish("r/3", b"", 1, retain=True)
    subscriber = Client(port, "subscriber")
    yield subscriber.subscribe(("r/+", 1), ("x", 0))
    yield sorted(subscriber.take(2))  # their order is the broker's own
    publisher.publish("r/1", b"live", 1, retain=True)
    yield subscriber.take(1)
    bystander.ping()
    yield len(bystander._received)
    for client in (publisher, bystander, subscriber):
        client.disconnect()


def wildcards_and_quality(port: int) -> Iterator[object]:
    publisher, subscriber = Client(port, "publisher"), Client(port, "subscriber")
    yield subscriber.subscribe(("site/+/d/#", 1), ("low/#", 0), ("a//b", 1), ("/+", 1), ("own", 1))
    for topic in (
        "site/gw/d",
        "site/gw/d/2",
        "site/gw/e",
        "site/d/2",
        "low",
        "low/x",
        "a//b",
        "a/b",
        "/x",
        "x",
        "/x/y",
    ):
        for qos in (0, 1):
            publisher.publish(topic, b"%d" % qos, qos)
    subscriber.publish("own", b"to myself")
    subscriber.publish("own", b"again", 1, dup=True)
    subscriber.unsubscribe("site/+/d/#")
    publisher.publish("site/gw/d/2", b"unsubscribed")
    publisher.publish("a//b", b"end")
    yield subscriber.take_until(b"end")
    publisher.disconnect()
    subscriber.disconnect()


def wills(port: int) -> Iterator[object]:
    observer = Client(port, "observer")
    observer.subscribe(("w/#", 1))
    Client(port, "polite", will=Will("w/polite", b"never", 1)).disconnect()
    Client(port, "killed", will=Will("w/killed", b"gone", 1, True)).kill()
    yield observer.take(1)
    Client(port, "mad", will=Will("w/mad", b"gone", 0)).send_and_be_closed(b"\x00\x00")
    yield observer.take(1)
    late = Client(port, "late")
    late.subscribe(("w/#", 1))
    yield late.take(1)
    late.disconnect()
    observer.disconnect()


def take_over(port: int) -> Iterator[object]:
    observer = Client(port, "observer")
    observer.subscribe(("w", 1))
    # mosquitto sends the Will only where a clean session ends; section 3.1.2.5 wants it always, as ours does.
    old = Client(port, "clean", will=Will("w", b"taken over", 1))
    new = Client(port, "clean")
    yield new.connack, old.send_and_be_closed(b""), observer.take(1)
    new.disconnect()
    old = Client(port, "kept", clean=False)
    old.subscribe(("t", 1))
    new = Client(port, "kept", clean=False)
    yield new.connack, old.send_and_be_closed(b"")
    observer.publish("t", b"for the new one")
    yield new.take(1)
    new.disconnect()
    observer.disconnect()


def offline_queue(port: int) -> Iterator[object]:
    publisher, subscriber = Client(port, "publisher"), Client(port, "subscriber", clean=False)
    yield subscriber.connack
    subscriber.subscribe(("q/#", 1))
    publisher.publish("q/1", b"sent, not acknowledged", 1, retain=True)
    yield subscriber.take(1, acknowledge=False)
    subscriber.kill()
    publisher.ping()
    # A broker may hear of the reset late; taking the session over and leaving makes it offline for certain.
    again = Client(port, "subscriber", clean=False)
    yield again.connack, again.take(1, acknowledge=False)
    again.disconnect()
    for number in range(60):  # more than one window
        publisher.publish("q/2", b"%d" % number, number % 2)
    back = Client(port, "subscriber", clean=False)
    publisher.publish("q/3", b"end")
    yield back.connack, back.take_until(b"end")
    back.ping()
    back.disconnect()
    empty = Client(port, "subscriber", clean=False)
    empty.ping()
    yield empty.connack, len(empty._received)
    empty.disconnect()
    clean = Client(port, "subscriber", clean=True)
    publisher.publish("q/4", b"nobody listens")
    clean.ping()
    yield clean.connack, len(clean._received)
    clean.disconnect()
    fresh = Client(port, "subscriber", clean=False)
    yield fresh.connack
    fresh.disconnect()
    publisher.disconnect()


def refusals(port: int) -> Iterator[object]:
    for malformed in (
        b"\x00\x00",
        packets.encode_connect(Connect("again")),
        packets.encode_packet(0x30, b"\x00\x03a/#"),
        packets.encode_packet(0x32, b"\x00\x01a\x00\x00"),
        packets.encode_packet(0x82, b"\x00\x01\x00\x02a#\x00"),
        packets.encode_packet(0x82, b"\x00\x01\x00\x01a\x03"),
        packets.encode_packet(0x80, b"\x00\x01\x00\x01a\x00"),
        b"\x30\xff\xff\xff\xff\x01",
    ):
        yield Client(port, "mad").send_and_be_closed(malformed)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as sock:
        sock.sendall(packets.encode_connect(Connect("", clean_session=False)))
        yield sock.recv(10), sock.recv(1)


SCRIPT = [retained_messages, wildcards_and_quality, wills, take_over, offline_queue, refusals]


def play(port: int) -> list[tuple[str, int, object]]:
    return [(part.__name__, step, seen) for part in SCRIPT for step, seen in enumerate(part(port))]


def test_the_same_session_receives_the_same_messages(mosquitto):
    on_mosquitto = play(mosquitto.port)
    with BrokerThread() as broker:
        on_ours = play(broker.port)
    assert on_ours == on_mosquitto
    seen = {(part, step): received for part, step, received in on_ours}
    assert seen["retained_messages", 1] == [Received("r/1", b"new", 1, True), Received("r/2", b"two", 0, True)]
    assert seen["wills", 0] == [Received("w/killed", b"gone", 1)]
    connack, queued = seen["offline_queue", 3]
    assert connack == b"\x01\x00"
    assert [message.payload for message in queued[1:]] == [b"%d" % number for number in range(1, 60, 2)]
    assert queued[0] == Received("q/1", b"sent, not acknowledged", 1, False, True)
