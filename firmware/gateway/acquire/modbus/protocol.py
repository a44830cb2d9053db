"""Modbus PDUs: the requests, and what tells the answers to them (MODBUS application protocol V1.1b3, section 6).

Functions 1 to 6, 15, 16, 17, 22, 23 and 43/14. How they travel: rtu_frame and tcp_frame.
Requests that write: writes.py, which only a site with something to write loads.
"""

from struct import pack

from micropython import const

from gateway.core.errors import FrameError
from gateway.core.quality import INVALID

MORE = const(-1)  # not yet: more bytes are needed
REFUSED = const(0x80)  # added to the function by a device that refuses

_SERVER_ID = const(17)
_MASK_WRITE = const(22)
_DEVICE_ID = const(43)
_MEI = const(14)

_LONGEST = const(253)
_ECHOED = const(5)  # bytes of function, address, and value or quantity
_OBJECTS = const(7)  # where the objects of a device identification begin

_READING = b"\x01\x02\x03\x04\x17"
_COUNTED = b"\x01\x02\x03\x04\x11\x17"  # functions with a byte count before the data
_ECHOING = b"\x05\x06\x0f\x10"  # functions whose answers repeat the request's first bytes


# --- Requests. Addresses are 0-based; FrameError(INVALID) outside the protocol's limits.


def check(right):
    if not right:
        raise FrameError(INVALID)


def check_span(address, count, most):
    check(1 <= count <= most and 0 <= address <= 65536 - count)


def read(function, address, count):
    """Read `count` bits (functions 1, 2: at most 2000) or registers (3, 4: at most 125)."""
    check(1 <= function <= 4)
    check_span(address, count, 2000 if function < 3 else 125)
    return pack(">BHH", function, address, count)


def server_id():
    return b"\x11"


def device_id(code, object_id):
    """`code`: 1 basic, 2 regular, 3 extended, from the object on; 4 this object only."""
    check(1 <= code <= 4 and 0 <= object_id <= 255)
    return bytes((_DEVICE_ID, _MEI, code, object_id))


# --- Answers


def reply_size(request):
    """Bytes of the good answer to this PDU; 0 when only the answer itself tells (functions 17 and 43)."""
    function = request[0]
    if function in _READING:
        count = request[3] << 8 | request[4]
        return 2 + ((count + 7) // 8 if function < 3 else 2 * count)
    if function == _SERVER_ID or function == _DEVICE_ID:
        return 0
    return 7 if function == _MASK_WRITE else _ECHOED


def size_of(buf, at, length):
    """Bytes of the answer that begins at buf[at], as far as the `length` bytes received tell.

    MORE while they do not; 0 for what is no answer: another function, or longer than the protocol allows.
    """
    if at >= length:
        return MORE
    function = buf[at]
    size = 0
    if function & REFUSED:
        size = 2
    elif function in _ECHOING:
        size = _ECHOED
    elif function == _MASK_WRITE:
        size = 7
    elif function in _COUNTED:
        if at + 2 > length:
            return MORE
        size = 2 + buf[at + 1]
    elif function == _DEVICE_ID:
        if at + _OBJECTS > length:
            return MORE
        size = _OBJECTS
        for _ in range(buf[at + _OBJECTS - 1]):
            if size > _LONGEST:
                break
            if at + size + 2 > length:
                return MORE
            size += 2 + buf[at + size + 1]
    return size if size <= _LONGEST else 0


def fits(request, buf, at, size):
    """Whether the PDU at buf[at], of which `size` bytes are there, can be the answer to the PDU `request`, as far as it goes."""
    function = request[0]
    if function in _READING:
        head = bytes((function, reply_size(request) - 2))
    elif function in _ECHOING:
        head = request[:_ECHOED]
    elif function == _DEVICE_ID:
        head = request[:3]
    else:  # the function alone, or a mask write, which is repeated as a whole
        head = request
    size = min(size, len(head))
    return buf[at : at + size] == head[:size]


def data_at(function):
    """Where the data begin in an answer: behind the byte count, if there is one."""
    return 2 if function in _COUNTED else 1
