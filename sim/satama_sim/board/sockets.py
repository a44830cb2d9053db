"""The board's sockets: TCP and UDP over the simulated network, with lwIP's send buffer and its Nagle algorithm."""

from __future__ import annotations

import errno
import struct
from collections import deque

from ..network.net import Network, TcpPeer
from ..timeline import Timeline

SEGMENT = 1440  # CONFIG_LWIP_TCP_MSS of the stock build
SEND_WINDOW = 5760  # CONFIG_LWIP_TCP_SND_BUF_DEFAULT: 4 segments
POLLIN, POLLOUT, POLLHUP = 1, 4, 16
MAX_SOCKETS = 10  # CONFIG_LWIP_MAX_SOCKETS
MAX_DATAGRAMS = 6  # CONFIG_LWIP_UDP_RECVMBOX_SIZE


class SimSocket:
    """One socket. The far end calls `on_open`, `on_data`, `on_datagram`, `on_close` when something arrives."""

    def __init__(self, stream: bool):
        self.stream = stream
        self.peer: TcpPeer | None = None
        self.target: tuple[bytes, int] | None = None  # where a connected datagram socket sends to
        self.opened = False
        self.received = bytearray()
        self.datagrams: deque[bytes] = deque(maxlen=MAX_DATAGRAMS)  # port, address, content
        self.ended = False  # the far end has closed
        self.error = 0
        self.nodelay = False
        self.in_flight = 0  # bytes in the send buffer: not acknowledged, or not sent yet
        self.unsent = bytearray()

    def on_open(self) -> None:
        self.opened = True

    def on_data(self, data: bytes) -> None:
        self.received += data

    def on_datagram(self, address: bytes, port: int, data: bytes) -> None:
        if len(self.datagrams) < MAX_DATAGRAMS:
            self.datagrams.append(struct.pack("<H4s", port, address) + data)

    def on_taken(self, count: int) -> None:
        """The far end has acknowledged that many bytes."""
        self.in_flight -= count
        self.push()

    def push(self, all_of_it: bool = False) -> None:
        """Send what may go now: full segments; and less (RFC 896, tcp_do_output_nagle) when nothing is under way or the buffer is full."""
        unsent = self.unsent
        if unsent and self.peer and not self.error:
            at_once = all_of_it or self.nodelay or self.in_flight == len(unsent) or self.in_flight >= SEND_WINDOW
            count = len(unsent) if at_once else len(unsent) // SEGMENT * SEGMENT
            if count:
                data = bytes(unsent[:count])
                del unsent[:count]
                self.peer.send(data)

    def on_close(self, error: int = 0) -> None:
        self.ended = True
        self.error = error

    def events(self) -> int:
        """As lwIP's select and the port's modsocket.c have them: an error shows as "ready", the next call then raises it."""
        if not self.stream:
            return POLLOUT | (POLLIN if self.datagrams else 0)
        if self.peer is None:
            return POLLOUT | POLLHUP
        events = POLLIN if self.received or self.ended else 0
        if self.error or (self.opened and self.in_flight < SEND_WINDOW):
            events |= POLLOUT
        return events


class Sockets:
    """All sockets of one board. A reset forgets them, and the far ends see nothing of it but silence; a soft reset closes them."""

    FIRST, LAST = 16, 60_000  # handles below are the console and the UARTs

    def __init__(self, timeline: Timeline, network: Network):
        self.timeline = timeline
        self.network = network
        self.open: dict[int, SimSocket] = {}
        self._next = self.FIRST

    def reset(self, close: bool = False) -> None:
        for socket in self.open.values():
            if socket.peer and close:
                socket.push(all_of_it=True)
                socket.peer.close()
            elif socket.peer:
                socket.peer.vanish()
        self.open.clear()

    def create(self, stream: bool) -> int:
        if len(self.open) >= MAX_SOCKETS:
            return -errno.ENFILE
        while self._next in self.open:  # one that was opened long ago
            self._step()
        handle = self._next
        self._step()
        self.open[handle] = SimSocket(stream)
        return handle

    def _step(self) -> None:
        self._next = self._next + 1 if self._next < self.LAST else self.FIRST

    def connect(self, socket: SimSocket, address: bytes, port: int) -> int:
        """0 when the connection is under way, or a negative errno."""
        if not socket.stream:
            socket.target = (address, port)
            return 0
        if socket.peer:
            return -(errno.EISCONN if socket.opened else errno.EALREADY)
        socket.peer = self.network.connect(socket, address, port)
        return 0

    def send(self, socket: SimSocket, data: bytes) -> int:
        """Bytes taken into the window, or a negative errno."""
        if socket.target:
            self.network.send_datagram(socket, *socket.target, data)
            return len(data)
        if socket.error or socket.peer is None:
            return -(socket.error or errno.ENOTCONN)
        count = min(len(data), SEND_WINDOW - socket.in_flight) if socket.opened else 0
        if count == 0:
            return -errno.EAGAIN
        socket.in_flight += count
        socket.unsent += data[:count]
        socket.push()
        return count

    def receive(self, socket: SimSocket, limit: int) -> bytes | None:
        """Bytes (of a datagram: its sender first), b"" at the end of the stream, None when nothing is there yet."""
        if not socket.stream:
            return socket.datagrams.popleft()[: 6 + limit] if socket.datagrams else None
        if socket.received:
            data = bytes(socket.received[:limit])
            del socket.received[:limit]
            return data
        return b"" if socket.ended else None

    def close(self, handle: int) -> None:
        socket = self.open.pop(handle, None)
        if socket and socket.peer:
            socket.push(all_of_it=True)
            socket.peer.close()
