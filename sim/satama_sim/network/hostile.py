"""A broker that means no good, by script: what it answers to CONNECT and to each PUBLISH, byte for byte.

cabinet.network_faults.instead(Hostile(connack=bytes((0x20, 2, 0, 5))), times=1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..broker import packets
from .net import TcpPeer

CONNACK = bytes((0x20, 2, 0, 0))
# What no client has to put up with (MQTT 3.1.1), by name: each must end the connection and nothing else.
MALFORMED: dict[str, bytes] = {
    "reserved type 0": b"\x00\x00",
    "reserved type 15": b"\xf0\x00",
    "CONNECT": b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
    "a second CONNACK": CONNACK,
    "PUBACK with flags": b"\x41\x02\x00\x01",
    "PUBACK too short": b"\x40\x01\x00",
    "PUBACK too long": b"\x40\x03\x00\x01\x00",
    "PUBACK of id 0": b"\x40\x02\x00\x00",
    "PUBREC": b"\x50\x02\x00\x01",
    "SUBSCRIBE": b"\x82\x06\x00\x01\x00\x01a\x00",
    "PINGREQ": b"\xc0\x00",
    "PINGRESP with a body": b"\xd0\x01\x00",
    "DISCONNECT": b"\xe0\x00",
    "length of five bytes": b"\x30\xff\xff\xff\xff\x7f",
    "PUBLISH of 268 MB": b"\x30\xff\xff\xff\x7f\x00\x01a",
    "PUBLISH of 1 MB": b"\x30\x80\x80\x40\x00\x01a" + b"x" * 3000,
    "PUBLISH at QoS 3": b"\x36\x06\x00\x01a\x00\x01x",
    "PUBLISH at QoS 2": b"\x34\x06\x00\x01a\x00\x01x",
    "PUBLISH with id 0": b"\x32\x06\x00\x01a\x00\x00x",
    "topic beyond its packet": b"\x30\x04\x00\xffab",
    "topic with a wildcard": b"\x30\x05\x00\x02a#x",
    "topic that is no UTF-8": b"\x30\x05\x00\x02\xc3\x28x",
}


class Hostile:
    """Stands in for a broker (an accept function of the simulated network).

    connack      what CONNECT is answered with; b"": nothing
    answer(n, packet_id)   bytes that answer the n-th PUBLISH, from 1; default: a true PUBACK
    greeting     bytes that come before anybody has said anything
    ends         close the connection after the CONNACK
    """

    def __init__(
        self,
        connack: bytes = CONNACK,
        answer: Callable[[int, int], bytes] | None = None,
        greeting: bytes = b"",
        ends: bool = False,
    ):
        self.connack, self.greeting, self.ends = connack, greeting, ends
        self.answer = answer or (lambda number, packet_id: packets.encode_puback(packet_id))
        self.publishes = 0
        self.bytes_received = 0

    def __call__(self, peer: TcpPeer) -> Any:
        if self.greeting:
            peer.reply(self.greeting)
        return _Session(self, peer)


class _Session:
    def __init__(self, script: Hostile, peer: TcpPeer):
        self._script, self._peer = script, peer
        self._received = bytearray()

    def received(self, data: bytes) -> None:
        script = self._script
        script.bytes_received += len(data)
        self._received += data
        position, closes = 0, False
        while (packet := packets.cut_packet(self._received, position, 1 << 20)) is not None:
            head, body, position = packet
            if head >> 4 == packets.CONNECT:
                if script.connack:
                    self._peer.reply(script.connack)
                closes = script.ends
            elif head >> 4 == packets.PUBLISH:
                script.publishes += 1
                answer = script.answer(script.publishes, packets.parse_publish(head & 15, body).packet_id)
                if answer:
                    self._peer.reply(answer)
            elif head >> 4 == packets.PINGREQ:
                self._peer.reply(packets.PINGRESP_PACKET)
        del self._received[:position]
        if closes:
            self._peer.hang_up()

    def closed(self, clean: bool) -> None:
        pass
