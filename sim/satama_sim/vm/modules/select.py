"""`select.poll` on the host's handles; a wait is one host call, and like FreeRTOS it ends on a scheduler tick."""

import struct
import sys

import link
import uselect

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_FOREVER = 0xFFFFFFFF
_MP_STREAM_POLL = 3

wrapped = []  # [(C stream such as a TLS socket, the socket under it)]


class _Entry:
    """A registered stream: the host's handle to wait on (or None), and a probe for what the host cannot know."""

    def __init__(self, stream, events):
        self.stream = stream
        self.events = events
        self.inner = None  # builtin poll object of a C stream, which may hold decoded bytes of its own
        if stream is sys.stdin or stream is sys.stdin.buffer:
            self.handle = 0
            self.is_uart = False
            return
        self.handle = getattr(stream, "handle", None)
        self.is_uart = self.handle is not None and 0 < self.handle < 16
        if self.is_uart:
            link.uart_polled = True
        if self.handle is None:
            for outer, socket in wrapped:
                if outer is stream:
                    self.handle = socket.handle
                    self.inner = uselect.poll()
                    self.inner.register(stream, events)

    def probe(self):
        """Events that are ready without the host (a Python stream's ioctl, a TLS socket's buffer)."""
        if self.inner:
            for _, events in self.inner.ipoll(0):
                return events & (self.events | POLLERR | POLLHUP)
            return 0
        if self.handle is None:
            return self.stream.ioctl(_MP_STREAM_POLL, self.events)
        return 0


def _pass_idle(us):
    """Let a wait pass in which nothing can become ready, up to the scheduler tick on which it ends. False: ask the host."""
    if us == _FOREVER:
        return False
    tick = link.costs["scheduler_tick_us"]
    end = -(-(link.now + us) // tick) * tick
    if end > link.quiet_until:
        return False
    link.now = end
    return True


class poll:
    """What a wait needs is worked out when streams come and go: there are a thousand waits a minute, and garbage costs time."""

    def __init__(self):
        self._entries = []
        self._idle_at = -1  # link.stream_calls when the host last said that nothing is ready
        self._idle_until = 0  # and until when that holds
        self._changed()

    def _changed(self):
        self._pairs = b""  # for the host: handle and events of each stream that it knows
        self._probes = []  # entries that only a probe knows
        self._has_uart = False
        for entry in self._entries:
            if entry.handle is not None:
                self._pairs += struct.pack("<HH", entry.handle, entry.events)
            if entry.inner or entry.handle is None:
                self._probes.append(entry)
            self._has_uart = self._has_uart or entry.is_uart

    def _find(self, stream):
        for entry in self._entries:
            if entry.stream is stream:
                return entry
        return None

    def register(self, stream, events=POLLIN | POLLOUT):
        entry = self._find(stream)
        if entry:
            entry.events = events
        else:
            self._entries.append(_Entry(stream, events))
        self._idle_at = -1
        self._changed()

    def modify(self, stream, events):
        entry = self._find(stream)
        if not entry:
            raise OSError(2)
        entry.events = events
        self._idle_at = -1
        self._changed()

    def unregister(self, stream):
        self._entries = [entry for entry in self._entries if entry.stream is not stream]
        self._changed()

    def _probed(self):
        if not self._probes:
            return ()
        ready = []
        for entry in self._probes:
            events = entry.probe()
            if events:
                ready.append((entry.stream, events))
        return ready

    def ipoll(self, timeout_ms=-1, flags=0):
        us = _FOREVER if timeout_ms < 0 else min(timeout_ms * 1000, _FOREVER - 1)
        if not self._entries:
            if us and not _pass_idle(us):
                link.call(2, us)
            return ()
        if us == 0:
            link.look()
        ready = self._probed()
        idle = self._idle_at == link.stream_calls and link.now < self._idle_until
        if idle and link.uart_polled and self._has_uart:
            idle = False  # bytes on a wire arrive without an event that the host could foretell
        if ready or us == 0:
            if idle:
                return ready
            us = 0
        elif idle and _pass_idle(us):
            return self._probed()
        link.call(2, us, self._pairs)
        answer = link.data()
        self._idle_at = -1 if answer else link.stream_calls
        self._idle_until = link.quiet_until
        if answer:
            ready = list(ready)
            for at in range(0, len(answer), 4):
                handle, events = struct.unpack_from("<HH", answer, at)
                for entry in self._entries:
                    if entry.handle == handle and not entry.inner:
                        ready.append((entry.stream, events))
        return ready if ready or us == 0 else self._probed()

    def poll(self, timeout_ms=-1):
        return list(self.ipoll(timeout_ms))
