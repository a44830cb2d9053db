"""The VM's end of the wire to the host: one synchronous call, and posts that ride on the next one.

The VM keeps the time of its boot in microseconds (`now`); what the board would spend (cost table) is added here, without asking
the host. Every call carries it to the host, which lets the world catch up and answers with the new time, and with how long
nothing can happen from outside (`quiet_until`), so that a poll of idle streams need not ask again.
"""

import struct
import sys

_in = open("/dev/fd/" + sys.argv[1], "rb")
_out = open("/dev/fd/" + sys.argv[2], "wb")
_head = bytearray(20)  # call: op, flags, arg, now, length of data
_answer = bytearray(24)  # answer: now, result, quiet microseconds, interrupts due, (unused), length of data
_posts = bytearray()
_MOST_POSTED = 4096  # bytes; a firmware that only posts must not fill the heap with them
_data = b""

now = 0
quiet_until = 0
calls = 0
stream_calls = 0  # calls that may change what a stream is ready for
uart_polled = False  # some poll object waits for a UART too
costs = {}  # microseconds, from the board file
on_interrupts = None  # called after an answer that says that interrupts are due


def post(op, arg, data=b"", consequence=None):
    """Tell the host of an effect that needs no answer; it travels with the next call, under the time it happened.

    `consequence`: the time at which the world may answer it at the earliest (a frame that is sent: its end).
    """
    global _posts, quiet_until
    _posts += struct.pack("<HHIQI", op, 0x8000, arg, now, len(data))
    _posts += data
    if consequence is not None and consequence < quiet_until:
        quiet_until = consequence
    if len(_posts) > _MOST_POSTED:
        call(1)  # WAIT for nothing


def call(op, arg=0, data=b""):
    """Ask the host; returns its result number and leaves its bytes in `data()`."""
    global now, quiet_until, calls, stream_calls, _posts, _data
    calls += 1
    if op >= 60 or uart_polled and 20 <= op < 30:
        stream_calls += 1
    struct.pack_into("<HHIQI", _head, 0, op, 0, arg, now, len(data))
    if _posts or data:
        _posts += _head
        _posts += data
        _out.write(_posts)
        _posts = bytearray()
    else:
        _out.write(_head)
    _in.readinto(_answer)
    now, result, quiet, interrupts, _, length = struct.unpack("<QiIHHI", _answer)
    quiet_until = now + quiet
    _data = _in.read(length) if length else b""
    if interrupts and on_interrupts:
        answer = _data
        on_interrupts()
        _data = answer
    return result


def data():
    """Bytes of the last answer."""
    return _data


def ask(op, arg=0, data=b""):
    """A call that may fail with an errno (negative result)."""
    result = call(op, arg, data)
    if result < 0:
        raise OSError(-result)
    return result


def look(op=None, arg=0):
    """Ask for a state (without `op`: only let a moment pass). It takes its time, or who asks again and again would never see it change."""
    global now
    now += 10
    return call(op, arg) if op is not None else 0


def spend(name):
    """Let a cost of the board's table pass."""
    global now
    now += costs[name]


def wait(us):
    """Sleep; pin interrupts are served meanwhile."""
    global now
    end = now + us
    while now < end:
        if end <= quiet_until:  # nothing can come in from outside before: no need to ask
            now = end
        else:
            call(1, min(end - now, 0xFFFFFFF0))
