"""The VM's end of the wire to the host: one synchronous call, and posts that ride on the next one.

The VM keeps the time of its boot in microseconds (`now`); what the board would spend (cost table) is added here, without asking
the host. Every call carries it to the host, which lets the world catch up and answers with the new time, and with how long
nothing can happen from outside (`quiet_until`), so that a poll of idle streams need not ask again.

A heap that is full must not put the two ends out of step: what a call needs of it is there beforehand, or is asked for where nothing is
under way. A MemoryError then is the firmware's; where it cannot be, the host is told, and the run ends with a sentence.
"""

import struct
import sys

_in = open("/dev/fd/" + sys.argv[1], "rb")
_out = open("/dev/fd/" + sys.argv[2], "wb")
_head = bytearray(20)  # call: op, flags, arg, now, length of data
_answer = bytearray(24)  # answer: now, result, quiet microseconds, interrupts due, Ctrl-C, length of data
_posts = bytearray(2048)  # what is posted, the next call behind it
_posted = 0  # bytes of it
_inbox = bytearray(256)  # a short answer's data
_inbox_view = memoryview(_inbox)
_NO_MEMORY = struct.pack("<HHIQI", 8, 0, 0, 0, 0)
_reserve = bytearray(512)  # to read an answer in spite of all, once
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
    global _posted, quiet_until
    while _posted and _posted + 20 + len(data) > len(_posts):
        call(1)  # WAIT for nothing; interrupts that are served then may post, too
    at = _posted + 20
    struct.pack_into("<HHIQI", _posts, _posted, op, 0x8000, arg, now, len(data))
    if at + len(data) <= len(_posts):
        _posts[at : at + len(data)] = data
        _posted = at + len(data)
    else:
        _posted = 0
        _out.write(_posts, at)
        _out.write(data)
    if consequence is not None and consequence < quiet_until:
        quiet_until = consequence


def call(op, arg=0, data=b""):
    """Ask the host; returns its result number and leaves its bytes in `data()`. Raises KeyboardInterrupt, when somebody types it and may."""
    global calls, stream_calls, _posted, _data
    calls += 1
    if op >= 60 or uart_polled and 20 <= op < 30:
        stream_calls += 1
    end = _posted + 20 + len(data)
    if end <= len(_posts):
        struct.pack_into("<HHIQI", _posts, _posted, op, 0, arg, now, len(data))
        if data:
            _posts[end - len(data) : end] = data
        _posted = 0
        _out.write(_posts, end)
    else:
        struct.pack_into("<HHIQI", _head, 0, op, 0, arg, now, len(data))
        if _posted:
            _out.write(_posts, _posted)
            _posted = 0
        _out.write(_head)
        _out.write(data)
    if not _in.readinto(_answer):
        raise SystemExit  # the host is gone: nothing is left to live for
    try:
        result, interrupts, ctrl_c, length = _read_head()
    except MemoryError:
        _answered_in_need()
        raise
    if not length:
        _data = b""
    elif length <= len(_inbox):
        _in.readinto(_inbox, length)
        _data = bytes(_inbox_view[:length])
    else:
        try:
            _data = _in.read(length)
        except MemoryError:  # before or after the bytes were taken: nobody knows
            _give_up()
    if ctrl_c:
        raise KeyboardInterrupt
    if interrupts and on_interrupts:
        answer = _data
        on_interrupts()
        _data = answer
    return result


def _read_head():
    """(result, interrupts due, Ctrl-C, length of the data) of the answer, whose time is taken over."""
    global now, quiet_until
    time, result, quiet, interrupts, ctrl_c, length = struct.unpack("<QiIHHI", _answer)
    quiet_until = time + quiet
    now = time
    return result, interrupts, ctrl_c, length


def _answered_in_need():
    """Take the answer in with the last reserve, so that the firmware gets its MemoryError and both ends are in step."""
    global _reserve
    _reserve = None
    try:
        length = _read_head()[3]
    except MemoryError:
        _give_up()
    while length > 0:
        length -= _in.readinto(_inbox, min(length, len(_inbox)))
    try:
        _reserve = bytearray(512)
    except MemoryError:
        pass


def _give_up():
    _out.write(_NO_MEMORY)
    while True:
        _in.readinto(_answer)  # until the host ends this process


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
