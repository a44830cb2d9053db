"""Modbus RTU frames of the reading functions 1 to 4 (MODBUS over serial line V1.02, application protocol V1.1b3).

A frame ends by its expected length and its CRC, never by silence: a 10 ms scheduler cannot time 3.5 characters.
"""

from array import array

from micropython import const

from gateway.core.errors import FrameError
from gateway.core.quality import CRC, EXCEPTION, INVALID, SHORT, TIMEOUT, WRONG_UNIT

MORE = const(-1)  # not yet: more bytes are needed

_REQUEST = const(8)  # bytes of a request
_SHORTEST = const(5)  # bytes of the shortest frame, an exception: unit, function | 0x80, number, CRC
_REFUSED = const(0x80)
_WRITING = b"\x05\x06\x0f\x10"  # functions whose answers are as long as a request


def _crc_of_byte(byte):
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_TABLE = array("H", [_crc_of_byte(byte) for byte in range(256)])


def crc16(buf, start, end):
    """CRC-16/MODBUS of buf[start:end]; on the wire its low byte comes first."""
    table = _TABLE
    crc = 0xFFFF
    for i in range(start, end):
        crc = crc >> 8 ^ table[(crc ^ buf[i]) & 0xFF]
    return crc


def _intact(buf, at, size):
    end = at + size - 2
    return crc16(buf, at, end) == buf[end] | buf[end + 1] << 8


def read_request(unit, function, address, count):
    """The request for `count` bits (functions 1, 2) or registers (3, 4) from the 0-based `address` on.

    FrameError(INVALID) outside the protocol's limits: unit 1 to 255, 2000 bits, 125 registers, 65536 addresses.
    """
    most = 2000 if function < 3 else 125
    if not (1 <= unit <= 255 and 1 <= function <= 4 and 1 <= count <= most and 0 <= address <= 65536 - count):
        raise FrameError(INVALID)
    frame = bytearray((unit, function, address >> 8, address & 0xFF, count >> 8, count & 0xFF, 0, 0))
    crc = crc16(frame, 0, 6)
    frame[6] = crc & 0xFF
    frame[7] = crc >> 8
    return bytes(frame)


def reply_length(function, count):
    """Bytes of the answer on the wire: unit, function, byte count, data, CRC."""
    return 5 + (2 * count if function > 2 else (count + 7) // 8)


def _begins(buf, at, length, frame):
    """True when what came from `at` on is the beginning of `frame`, as far as it goes."""
    end = min(at + len(frame), length)
    return buf[at:end] == frame[: end - at]


def match_reply(buf, length, request):
    """Look for the answer to `request` among the first `length` bytes received, behind whatever came before it.

    (0, index of the first data byte) when it is there, (EXCEPTION, exception number) when the device refuses,
    (MORE, 0) otherwise. Noise, the own echo and late answers to other requests are skipped.
    """
    unit = request[:1]
    function = request[1]
    size = reply_length(function, request[4] << 8 | request[5])
    end = max(0, length - _SHORTEST + 1)  # no frame begins here or later
    cut = echo = False
    at = buf.find(unit, 0, end)
    while at >= 0:
        step = 1
        code = buf[at + 1]
        if code == function:
            # An answer can look like the request (three bytes of coils at 0x0300): the first one is the echo.
            if not echo and _begins(buf, at, length, request):
                echo = True
                step = _REQUEST
            elif buf[at + 2] == size - 5:
                if at + size > length:
                    cut = True
                elif _intact(buf, at, size):
                    return 0, at + 3
        # Data of an answer still on its way can look like an exception.
        elif code == function | _REFUSED and not cut and _intact(buf, at, _SHORTEST):
            return EXCEPTION, buf[at + 2]
        at = buf.find(unit, at + step, end)
    return MORE, 0


def _any_answer(buf, at, length):
    """Size of the intact answer, to whatever request, that begins at `at`; 0 if there is none."""
    if at + _SHORTEST > length:
        return 0
    function = buf[at + 1]
    if 1 <= function <= 4:
        size = 5 + buf[at + 2]
    elif function & _REFUSED:
        size = _SHORTEST
    elif function in _WRITING:
        size = _REQUEST
    else:
        return 0
    return size if at + size <= length and _intact(buf, at, size) else 0


def verdict(buf, length, request):
    """Why there was no answer when the deadline passed: TIMEOUT, CRC, SHORT, WRONG_UNIT or EXCEPTION.

    TIMEOUT also when there was only the own echo, a late answer of this unit to another function, or less noise
    than a frame; SHORT also when a whole answer holds another number of bytes than was asked for.
    """
    unit = request[0]
    function = request[1]
    size = reply_length(function, request[4] << 8 | request[5])
    answer = bytes((unit, function, size - 5))
    refusal = bytes((unit, function | _REFUSED))
    found = TIMEOUT
    noise = 0
    at = 0
    while at < length:
        step = _any_answer(buf, at, length)
        if buf[at] != unit:
            if step:
                found = WRONG_UNIT
        elif at + _REQUEST <= length and _begins(buf, at, length, request):
            step = _REQUEST
        elif step:
            if buf[at + 1] == function:
                found = SHORT
            elif buf[at + 1] == function | _REFUSED:
                return EXCEPTION
        elif _begins(buf, at, length, answer):
            return SHORT if at + size > length else CRC
        elif _begins(buf, at, length, refusal):
            return SHORT if at + _SHORTEST > length else CRC
        if not step:
            noise += 1
            step = 1
        at += step
    return CRC if found == TIMEOUT and noise >= _SHORTEST else found
