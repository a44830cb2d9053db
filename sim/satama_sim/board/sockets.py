"""The board's sockets: TCP and UDP over the simulated network, with lwIP's send window."""

from __future__ import annotations

import errno

from ..net import Network, TcpPeer
from ..timeline import Timeline

SEND_WINDOW = 5760  # CONFIG_LWIP_TCP_SND_BUF_DEFAULT of the stock build: 4 segments
POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
MAX_SOCKETS = 10  # CONFIG_LWIP_MAX_SOCKETS


class SimSocket:
    """One socket. The far end calls `on_open`, `on_data`, `on_close` when something arrives."""

    def __init__(self, stream: bool):
        self.stream = stream
        self.peer: TcpPeer | None = None
        self.opened = False
        self.received = bytearray()
        self.ended = False  # the far end has closed
        self.error = 0
        self.in_flight = 0

    def on_open(self) -> None:
        self.opened = True

    def on_data(self, data: bytes) -> None:
        self.received += data

    def on_taken(self, count: int) -> None:
        """The far end has acknowledged that many bytes."""
        self.in_flight -= count

    def on_close(self, error: int = 0) -> None:
        self.ended = True
        self.error = error

    def events(self) -> int:
        events = 0
        if self.received or self.ended:
            events |= POLLIN
        if (self.opened and not self.ended and self.in_flight < SEND_WINDOW) or not self.stream:
            events |= POLLOUT
        if self.ended:
            events |= POLLHUP
        if self.error:
            events |= POLLERR
        return events


class Sockets:
    """All sockets of one board; a reset forgets them, and the far ends see nothing of it but silence."""

    FIRST = 16  # handles below are the console and the UARTs

    def __init__(self, timeline: Timeline, network: Network):
        self.timeline = timeline
        self.network = network
        self.open: dict[int, SimSocket] = {}
        self._next = self.FIRST

    def reset(self) -> None:
        for socket in self.open.values():
            if socket.peer:
                socket.peer.vanish()
        self.open.clear()

    def create(self, stream: bool) -> int:
        if len(self.open) >= MAX_SOCKETS:
            return -errno.ENFILE
        handle, self._next = self._next, self._next % 60000 + 1
        if self._next < self.FIRST:
            self._next = self.FIRST
        self.open[handle] = SimSocket(stream)
        return handle

    def connect(self, handle: int, address: bytes, port: int) -> None:
        socket = self.open[handle]
        socket.peer = self.network.connect(socket, address, port)

    def send(self, socket: SimSocket, data: bytes) -> int:
        """Bytes taken into the window, or a negative errno."""
        if socket.error or socket.ended or not socket.opened:
            return -(socket.error or (errno.ECONNRESET if socket.ended else errno.ENOTCONN))
        count = min(len(data), SEND_WINDOW - socket.in_flight)
        if count == 0:
            return -errno.EAGAIN
        socket.in_flight += count
        assert socket.peer
        socket.peer.send(data[:count])
        return count

    def receive(self, socket: SimSocket, limit: int) -> bytes | None:
        """Bytes, b"" at the end of the stream, None when nothing is there yet."""
        if socket.received:
            data = bytes(socket.received[:limit])
            del socket.received[:limit]
            return data
        return b"" if socket.ended else None

    def close(self, handle: int) -> None:
        socket = self.open.pop(handle, None)
        if socket and socket.peer:
            socket.peer.close()
