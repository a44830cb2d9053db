"""A TCP or TLS connection that never blocks: every wait has its end, every failure is a LinkDown, every stall is measured."""

import errno
import select
import socket

import asyncio
from micropython import const

from gateway.uplink.errors import LinkDown

CONNECT_MS = const(5000)
_STEP_MS = const(10)
_FULL_MS = const(1)  # with full send buffers: the next tick of the scheduler


class Wire:
    """`stall_ms`: by phase ("connect", "handshake", "write", "read"), the longest that one step has held the event loop.

    wrote_ms   uptime when the socket last took something
    now_ms     uptime when the step began that holds the event loop now
    """

    def __init__(self, clock, patience_ms):
        """`patience_ms`: how long the far end may take nothing while something is to be written."""
        self._clock = clock
        self._patience_ms = patience_ms
        self._plain = None  # the TCP socket; `_sock` is the same one, or TLS over it
        self._sock = None
        self._tls = None  # the module, where it is used
        self._context = None
        self.wrote_ms = self.now_ms = 0
        self.stall_ms = {}
        self.take_stalls()

    def take_stalls(self):
        """The milliseconds by phase since last asked."""
        taken = self.stall_ms
        self.stall_ms = {"connect": 0, "handshake": 0, "write": 0, "read": 0}
        return taken

    def step(self):
        """The event loop is ours from now on."""
        self.now_ms = self._clock.uptime_ms()

    async def pause(self, phase, ms):
        """Let the others run; what they had to wait for since step() or the last pause is this phase's stall."""
        self.stalled(phase, self._clock.uptime_ms() - self.now_ms)
        await asyncio.sleep_ms(ms)
        self.now_ms = self._clock.uptime_ms()

    def stalled(self, phase, ms):
        if ms > self.stall_ms[phase]:
            self.stall_ms[phase] = ms

    async def connect(self, address):
        """Make a TCP connection to (ip, port)."""
        self.step()
        began = self.wrote_ms = self.now_ms
        try:
            self._plain = self._sock = sock = socket.socket()
            sock.setblocking(False)  # and for good
            # or a packet waits until the one before is acknowledged
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                sock.connect(address)
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            while not poll.poll(0):
                if self.now_ms - began > CONNECT_MS:
                    raise LinkDown("no answer")
                await self.pause("connect", _STEP_MS)
            try:
                sock.recv(1)  # a failed connection, too, is ready to be written to: only the error tells
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                return
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):  # lwIP makes a reset of a refusal
                raise LinkDown("connection refused")
            if error.errno in (errno.ETIMEDOUT, errno.ECONNABORTED):
                raise LinkDown("no answer")
            raise LinkDown(self._reason(error))
        raise LinkDown("closed by the broker")  # or it has spoken before it was asked

    def prepare(self, spec, renewal):
        """Read the certificates of `spec` (the compiled site's "mqtt") and those of a renewal.Renewal beside them, before there is a
        connection that cannot be used."""
        if renewal and renewal.is_stale:
            self._context = None  # before there is another one: each is some KB
        if self._context is None:
            from gateway.uplink.mqtt import tls

            self._tls = tls
            self._context = tls.context(spec, *(renewal.take() if renewal else ()))

    async def secure(self, host, first):
        """Put TLS over the connection, and `first` (bytes) through it. `host` must be in the broker's certificate."""
        self._sock = await self._tls.wrap(
            self._context, self._plain, host, first, self._clock, lambda ms: self.stalled("handshake", ms)
        )
        self.step()
        self.wrote_ms = self.now_ms

    async def write(self, view, meanwhile):
        """Write all of a memoryview. While the socket takes nothing, `meanwhile()` reads: or both sides would wait for each other.

        Returns in the same step in which the last byte was taken: nobody can have heard of it yet.
        """
        moved = self.now_ms
        while view:
            try:
                count = self._sock.write(view)
            except OSError as error:
                raise LinkDown(self._reason(error))
            if count:
                view = view[count:]
                moved = self.wrote_ms = self._clock.uptime_ms()
            if view:
                if self.now_ms - moved > self._patience_ms:
                    raise LinkDown("broker does not read")
                meanwhile()
                # acknowledgements come in a row, as the segments went: so does the room for more
                await self.pause("write", 0 if count else _FULL_MS)

    def read(self, buf):
        """Bytes that came into `buf`, None when there are none. Fewer than asked for: TLS, too, holds nothing back."""
        try:
            count = self._sock.readinto(buf)
        except OSError as error:
            raise LinkDown(self._reason(error))
        if count == 0:
            raise LinkDown("closed by the broker")
        return count

    async def readable(self, ms):
        """Wait until there is something to read, or for that long. True when there is (or the connection has failed)."""
        self.stalled("read", self._clock.uptime_ms() - self.now_ms)
        ready = True
        try:
            await asyncio.wait_for_ms(asyncio.StreamReader(self._sock).read(0), ms)  # reading nothing is waiting
        except asyncio.TimeoutError:
            ready = False
        except OSError as error:
            raise LinkDown(self._reason(error))
        self.step()
        return ready

    def close(self):
        sock, plain = self._sock, self._plain
        self._sock = self._plain = None
        for one in (sock, plain):  # a TLS socket that has failed does not close the one under it
            if one:
                try:
                    one.close()
                except OSError:
                    pass

    def _reason(self, error):
        number = error.errno
        if number == errno.ECONNRESET:
            return "reset by the broker"
        if self._tls:
            return self._tls.reason(number)
        return "errno {}".format(number)
