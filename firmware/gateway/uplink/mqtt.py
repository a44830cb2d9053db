"""MQTT 3.1.1 at QoS 1 on umqtt.simple, subclassed here and nowhere else.

umqtt makes the CONNECT packet and reads CONNACK, with every wait bounded by the sockets it gets from us. What follows is ours: packet
ids that wrap, answers read by a parser that believes nothing (field notes B.2).
"""

import asyncio
import errno
import socket
import time

from micropython import const
from umqtt import simple

CONNECT_S = const(5)
_ANSWER_MS = const(5000)  # PUBACK, PINGRESP; and progress of a write
_STEP_MS = const(10)
_SEGMENT = const(1400)  # bytes that are written at once, about a TCP segment


class LinkDown(Exception):
    """The connection is gone, for the reason given in a word or two."""


class _BoundedSockets:
    """In the place of umqtt's `socket`: every socket has a time-out, and nobody can take it away again."""

    getaddrinfo = socket.getaddrinfo

    @staticmethod
    def socket(*args):
        sock = socket.socket(*args)
        sock.settimeout(CONNECT_S)
        return sock


class Client(simple.MQTTClient):
    """One connection at a time. All byte counts and times are bounded; every failure is a LinkDown."""

    def __init__(self, client_id, spec, will_topic, will):
        """`spec`: the compiled site's "mqtt"; `will_topic` and `will` are bytes."""
        super().__init__(
            client_id,
            spec["host"],
            spec["port"],
            user=spec["user"].encode() if spec["user"] else None,
            password=spec["password"].encode() if spec["user"] else None,
            keepalive=spec["keepalive_s"],
        )
        self.set_last_will(will_topic, will, retain=True, qos=1)
        self._received = bytearray()
        self._heard_ms = 0
        self._wrote_ms = 0

    def open(self):
        """Connect with a persistent session; True when the broker knows it still. Blocks for at most about three times CONNECT_S."""
        simple.socket = _BoundedSockets
        self._received = bytearray()
        try:
            present = self.connect(clean_session=False)
            self.sock.setblocking(False)
        except simple.MQTTException as error:
            self.shut()
            raise LinkDown("refused {}".format(error.args[0]))
        except OSError as error:
            self.shut()
            raise LinkDown(
                "timeout" if error.errno in (errno.ETIMEDOUT, errno.EAGAIN) else "errno {}".format(error.errno)
            )
        except (AssertionError, IndexError, TypeError):
            self.shut()
            raise LinkDown("no CONNACK")
        self._heard_ms = self._wrote_ms = time.ticks_ms()
        return present

    def shut(self):
        """Close without a DISCONNECT: the Will speaks."""
        sock, self.sock = self.sock, None
        if sock:
            try:
                sock.close()
            except OSError:
                pass

    async def publish(self, topic, payload, retain=False):
        """Send at QoS 1 and wait for its own PUBACK. topic and payload: bytes."""
        await self.publish_pieces(topic, lambda: (payload,), retain)

    async def publish_pieces(self, topic, pieces, retain=False):
        """As publish(), for what is too long to lie in RAM at once: `pieces()` gives its parts, the same ones twice."""
        self.pid = self.pid % 65535 + 1
        pid = self.pid
        size = 2 + len(topic) + 2 + sum([len(piece) for piece in pieces()])
        head = bytearray(b"\x33" if retain else b"\x32")
        while size > 127:
            head.append(size & 127 | 128)
            size >>= 7
        head.append(size)
        head.extend(len(topic).to_bytes(2, "big"))
        head.extend(topic)
        head.extend(pid.to_bytes(2, "big"))
        for piece in pieces():
            if len(head) + len(piece) > _SEGMENT:
                await self._write(head)
                head = bytearray()
            head.extend(piece)
        await self._write(head)
        await self._await(0x40, pid)

    async def keep_alive(self):
        """Ask the broker for a sign of life when little was said lately."""
        if self.keepalive and time.ticks_diff(time.ticks_ms(), self._wrote_ms) >= self.keepalive * 500:
            await self._write(b"\xc0\0")
            await self._await(0xD0, None)

    async def _write(self, packet):
        view = memoryview(packet)
        stalled = time.ticks_ms()
        while view:
            try:
                count = self.sock.write(view)
            except OSError as error:
                raise LinkDown("errno {}".format(error.errno))
            if count:
                view = view[count:]
                stalled = time.ticks_ms()
            elif time.ticks_diff(time.ticks_ms(), stalled) > _ANSWER_MS:
                raise LinkDown("write stalled")
            if view:
                await asyncio.sleep_ms(_STEP_MS)
        self._wrote_ms = time.ticks_ms()

    async def _await(self, kind, pid):
        try:
            await asyncio.wait_for_ms(self._read_until(kind, pid), _ANSWER_MS)
        except asyncio.TimeoutError:
            raise LinkDown("no answer")

    async def _read_until(self, kind, pid):
        reader = asyncio.StreamReader(self.sock)
        while True:
            while True:
                packet = self._next_packet()
                if packet is None:
                    break
                self._heard_ms = time.ticks_ms()
                if packet[0] == kind and (pid is None or packet[2] << 8 | packet[3] == pid):
                    return
            try:
                data = await reader.read(256)
            except OSError as error:
                raise LinkDown("errno {}".format(error.errno))
            if data == b"":
                raise LinkDown("closed by the broker")
            if data:
                self._received.extend(data)

    def _next_packet(self):
        """One whole packet, None while there is none. Only PUBACK and PINGRESP may come: nothing is subscribed."""
        received = self._received
        if len(received) < 2:
            return None
        size = 2 + received[1]
        if received[0] not in (0x40, 0xD0) or received[1] != (2 if received[0] == 0x40 else 0):
            raise LinkDown("protocol error")
        if len(received) < size:
            return None
        packet = bytes(received[:size])
        self._received = received[size:]
        if packet[0] == 0x40 and packet[2:] == b"\0\0":
            raise LinkDown("protocol error")
        return packet
