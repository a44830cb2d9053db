"""A Modbus TCP link: one connection, one transaction at a time (MODBUS messaging on TCP/IP V1.0b).

Never blocks the loop beyond a look-up of the host's name, which an address in the site file avoids.
"""

import select
import socket
import time

import asyncio
from micropython import const

from gateway.acquire.modbus import tcp_frame
from gateway.core.quality import BUS_DOWN, EXCEPTION, TIMEOUT

_BUFFER = const(520)  # an answer that comes too late, and the one that is waited for
_CONNECT_MS = const(3000)
_RETRY_MS = const(1000)
_RETRY_MOST_MS = const(30000)
_LOOK_MS = const(10)
_HALF_OPEN = const(5)  # unanswered requests in a row


class TcpLink:
    """`spec`: an entry of the compiled site's "buses". After an exchange `buffer[:end]` is what came, `took_us` after the request."""

    def __init__(self, spec):
        self._host, self._port = spec["host"], spec["port"]
        self._address = None
        self._sock = None
        self._transaction = 0
        self._retry_ms = _RETRY_MS
        self._retry_at = time.ticks_ms()
        self.buffer = bytearray(_BUFFER)
        self._view = memoryview(self.buffer)
        self.end = 0
        self.sent = 0
        self.took_us = 0
        self.connects = 0
        self._silences = 0  # in a row on this connection
        self._has_served = False  # whether there was an answer on it

    FUNCTION = 7  # where it stands in a frame

    @staticmethod
    def frame(unit, pdu):
        return tcp_frame.frame(0, unit, pdu)

    @staticmethod
    def confusable(one, other):
        """Never: every answer bears the number of its request."""
        return False

    async def linger(self, frame, patience_us):
        """Nothing to wait for, likewise."""

    async def exchange(self, frame, earliest_us, patience_us, gap_ms):
        """Send a frame under the next transaction number: (0, index of the data), (EXCEPTION, number), or (reason, 0).

        A connection that has served before and is found dead is made anew at once, for the same request.
        """
        reason = found = 0
        for _ in range(2):
            self.end = self.took_us = 0
            if not self._sock and not await self._connect():
                return BUS_DOWN, 0
            has_served = self._has_served
            reason, found = await self._ask(frame, patience_us)
            if reason != BUS_DOWN or not has_served:
                break
        if gap_ms:
            await asyncio.sleep_ms(gap_ms)
        return reason, found

    async def _ask(self, frame, patience_us):
        self._transaction = self._transaction % 0xFFFF + 1
        numbered = bytes((self._transaction >> 8, self._transaction & 0xFF)) + frame[2:]
        try:
            sent = self._sock.write(numbered)
        except OSError:
            sent = 0
        if sent != len(numbered):
            self._close()
            return BUS_DOWN, 0
        self.sent = time.ticks_us()
        reason, found = await self._receive(numbered, patience_us)
        if reason == 0 or reason == EXCEPTION:
            self._has_served = True
            self._silences = 0
            self._retry_ms = _RETRY_MS
            return reason, found
        self._silences = self._silences + 1 if reason == TIMEOUT else 0
        if reason != TIMEOUT or self._silences >= _HALF_OPEN:
            self._close()  # out of step, or nobody there any more: only a new connection tells
        return reason, found

    async def _receive(self, request, patience_us):
        deadline = time.ticks_add(self.sent, patience_us)
        while True:
            room = _BUFFER - self.end
            try:
                got = self._sock.readinto(self._view[self.end :], room) if room else 0
            except OSError:
                return BUS_DOWN, 0
            if got == 0:  # closed by the other side, or more than any answer
                return BUS_DOWN, 0
            if got:
                if not self.end:
                    self.took_us = max(time.ticks_diff(time.ticks_us(), self.sent), 1)
                self.end += got
                reason, found = tcp_frame.match(self.buffer, self.end, request)
                if reason != tcp_frame.MORE:
                    return reason, found
            if time.ticks_diff(deadline, time.ticks_us()) <= 0:
                return TIMEOUT, 0
            await asyncio.sleep_ms(_LOOK_MS)

    async def _connect(self):
        """Try once, if the back-off allows; True when there is a connection."""
        if time.ticks_diff(self._retry_at, time.ticks_ms()) > 0:
            return False
        sock = None
        try:
            if not self._address:
                self._address = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)[0][-1]
            sock = socket.socket()
            sock.setblocking(False)
            try:
                sock.connect(self._address)
            except OSError:  # in progress, or refused: the poll below knows
                pass
            if await self._opened(sock):
                self._sock = sock
                self._has_served = False
                self._silences = 0
                self.connects += 1
                return True
        except OSError:
            pass
        if sock:
            sock.close()
        self._hold_off()
        return False

    async def _opened(self, sock):
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        for _ in range(_CONNECT_MS // _LOOK_MS):
            for _, events in poll.ipoll(0):
                return events == select.POLLOUT
            await asyncio.sleep_ms(_LOOK_MS)
        return False

    def _close(self):
        if self._sock:
            self._sock.close()
            self._sock = None
            if not self._has_served:
                self._hold_off()

    def _hold_off(self):
        """No new connection for a while; longer each time, until there is an answer."""
        self._retry_at = time.ticks_add(time.ticks_ms(), self._retry_ms)
        self._retry_ms = min(2 * self._retry_ms, _RETRY_MOST_MS)
