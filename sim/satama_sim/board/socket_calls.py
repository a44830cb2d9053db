"""What the VM may ask of the board's sockets and of name resolution."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import Any

from ..network.net import Network
from ..timeline import Timeline
from ..vm.modules import ops
from .sockets import Sockets
from .wait import Answer, Wait


class SocketCalls:
    """The handlers of one board."""

    def __init__(self, timeline: Timeline, network: Network, sockets: Sockets):
        self._timeline, self._network, self._sockets = timeline, network, sockets

    def rows(self) -> list[tuple[int, Any]]:
        """(number of the operation, handler)."""
        return [
            (ops.SOCK_OPEN, lambda arg, data: self._sockets.create(arg == 1)),
            (ops.SOCK_CONNECT, self._socket_connect),
            (ops.SOCK_SEND, self._socket_send),
            (ops.SOCK_RECV, self._socket_receive),
            (ops.SOCK_CLOSE, lambda arg, data: self._sockets.close(arg) or 0),
            (ops.SOCK_SENDTO, self._socket_sendto),
            (ops.DNS, self._dns),
            (ops.SOCK_NODELAY, self._socket_nodelay),
        ]

    def _socket_connect(self, arg: int, data: bytes) -> Wait | int:
        timeout_us, port = struct.unpack_from("<IH", data)
        socket = self._sockets.open.get(arg)
        if socket is None:
            return -errno.EBADF
        result = self._sockets.connect(socket, data[6:10], port)
        if result < 0 or not socket.stream:
            return result
        if timeout_us == 0:
            return -errno.EINPROGRESS

        def ready() -> Answer | None:
            if socket.opened:
                return 0, b""
            return (-(socket.error or errno.ECONNABORTED), b"") if socket.ended else None

        return self._blocking(timeout_us, ready)

    def _blocking(self, timeout_us: int, ready: Callable[[], Answer | None]) -> Wait:
        deadline = None if timeout_us == ops.FOREVER else self._timeline.now_us + timeout_us
        return Wait(deadline, ready, late=(-errno.ETIMEDOUT, b""))

    def _socket_send(self, arg: int, data: bytes) -> Wait | int:
        socket = self._sockets.open.get(arg)
        if socket is None:
            return -errno.EBADF
        timeout_us = struct.unpack_from("<I", data)[0]
        content = data[4:]
        sent = self._sockets.send(socket, content)
        if sent != -errno.EAGAIN or timeout_us == 0:
            return sent

        def ready() -> Answer | None:
            count = self._sockets.send(socket, content)
            return None if count == -errno.EAGAIN else (count, b"")

        return self._blocking(timeout_us, ready)

    def _socket_receive(self, arg: int, data: bytes) -> Wait | Answer | int:
        socket = self._sockets.open.get(arg >> 16)
        if socket is None:
            return -errno.EBADF
        if socket.stream and socket.peer is None:
            return -errno.ENOTCONN
        limit = arg & 0xFFFF
        timeout_us = struct.unpack("<I", data)[0]

        def ready() -> Answer | None:
            got = self._sockets.receive(socket, limit)
            if got == b"" and socket.error:
                return -socket.error, b""
            return None if got is None else (len(got), got)

        answer = ready()
        if answer is not None:
            return answer
        return -errno.EAGAIN if timeout_us == 0 else self._blocking(timeout_us, ready)

    def _socket_sendto(self, arg: int, data: bytes) -> int:
        port = struct.unpack_from("<H", data)[0]
        socket = self._sockets.open.get(arg)
        if socket is None:
            return -errno.EBADF
        self._network.send_datagram(socket, data[2:6], port, data[6:])
        return len(data) - 6

    def _socket_nodelay(self, arg: int, data: bytes) -> int:
        socket = self._sockets.open.get(arg >> 1)
        if socket is None:
            return -errno.EBADF
        socket.nodelay = bool(arg & 1)
        socket.push()
        return 0

    def _dns(self, arg: int, data: bytes) -> Answer | Wait:
        address = self._network.resolve(data.decode())
        if address is None:
            return Wait(self._timeline.now_us + 1_000_000, late=(-1, b""))
        return Wait(self._timeline.now_us + 2 * self._network.latency_us, late=(0, address))
