"""Modbus RTU frames: unit, PDU, CRC (MODBUS over serial line V1.02).

A frame ends by its expected length and its CRC, never by silence: a 10 ms scheduler cannot time 3.5 characters.
"""

from array import array

from micropython import const

from gateway.acquire.modbus import protocol
from gateway.acquire.modbus.protocol import MORE, REFUSED
from gateway.core.errors import FrameError
from gateway.core.quality import CRC, EXCEPTION, INVALID, SHORT, TIMEOUT, WRONG_UNIT

_AROUND = const(3)  # bytes of unit and CRC around a PDU
_SHORTEST = const(5)  # bytes of the shortest answer, a refusal: unit, function | 0x80, number, CRC
_WRITING = b"\x05\x06\x0f\x10\x16"


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


def frame(unit, pdu):
    """FrameError(INVALID) for a unit that is none; 0 is everybody, who may be told something, but not asked."""
    if not (1 <= unit <= 255 or unit == 0 and pdu[0] in _WRITING):
        raise FrameError(INVALID)
    made = bytes((unit,)) + pdu
    crc = crc16(made, 0, len(made))
    return made + bytes((crc & 0xFF, crc >> 8))


def reply_bytes(request):
    """Bytes of the good answer to this frame on the wire; those of a refusal when only the answer itself tells."""
    size = protocol.reply_size(request[1:-2])
    return size + _AROUND if size else _SHORTEST


def _intact(buf, at, size):
    end = at + size - 2
    return crc16(buf, at, end) == buf[end] | buf[end + 1] << 8


def _begins(buf, at, length, frame):
    """True when what came from `at` on is the beginning of `frame`, as far as it goes."""
    end = min(at + len(frame), length)
    return buf[at:end] == frame[: end - at]


def match(buf, length, request, echo=False):
    """Look for the answer to the frame `request` among the first `length` bytes received, behind whatever came before it.

    (0, index of the first data byte) when it is there, (EXCEPTION, exception number) when the device refuses,
    (MORE, 0) otherwise. Noise, the own echo and late answers to other requests are skipped.

    The first copy of the request is the own echo. But some requests are repeated by their good answer (functions 5, 6 and
    22): then it is the echo if the line is known for one (`echo`), and the answer if not.
    """
    unit = request[:1]
    pdu = request[1:-2]
    function = pdu[0]
    is_own_answer = protocol.reply_size(pdu) == len(pdu) and protocol.fits(pdu, pdu, 0, len(pdu))
    echo = echo or not is_own_answer  # still to come
    end = max(0, length - _SHORTEST + 1)  # no frame begins here or later
    at = buf.find(unit, 0, end)
    while at >= 0:
        step = 1
        code = buf[at + 1]
        if code == function:
            if echo and _begins(buf, at, length, request):
                echo = False
                step = len(request)
            elif protocol.fits(pdu, buf, at + 1, length - at - 1):
                size = protocol.size_of(buf, at + 1, length)
                if size == MORE or at + size + _AROUND > length:
                    break  # what follows may be its data, whatever it looks like
                if size and _intact(buf, at, size + _AROUND):
                    return 0, at + 1 + protocol.data_at(function)
        elif code == function | REFUSED and _intact(buf, at, _SHORTEST):
            return EXCEPTION, buf[at + 2]
        at = buf.find(unit, at + step, end)
    return MORE, 0


def _any_answer(buf, at, length):
    """Size of the intact answer, to whatever request, that begins at `at`; 0 if there is none."""
    size = protocol.size_of(buf, at + 1, length)
    if size <= 0 or at + size + _AROUND > length or not _intact(buf, at, size + _AROUND):
        return 0
    return size + _AROUND


def verdict(buf, length, request):
    """Why there was no answer when the deadline passed: TIMEOUT, CRC, SHORT, WRONG_UNIT or EXCEPTION.

    TIMEOUT also when there was only the own echo, a late answer of this unit to another function, or less noise
    than a frame; SHORT also when a whole answer to this function is not the one asked for: more or less data, or another
    address or value written.
    """
    unit = request[0]
    pdu = request[1:-2]
    function = pdu[0]
    found = TIMEOUT
    noise = 0
    at = 0
    while at < length:
        step = _any_answer(buf, at, length)
        if buf[at] != unit:
            if step:
                found = WRONG_UNIT
        elif at + len(request) <= length and _begins(buf, at, length, request):
            step = len(request)
        elif step:
            if buf[at + 1] == function:
                found = SHORT
            elif buf[at + 1] == function | REFUSED:
                return EXCEPTION
        elif protocol.fits(pdu, buf, at + 1, length - at - 1) or buf[at + 1] == function | REFUSED:
            size = protocol.size_of(buf, at + 1, length)
            if size:
                return SHORT if size == MORE or at + size + _AROUND > length else CRC
        if not step:
            noise += 1
            step = 1
        at += step
    return CRC if found == TIMEOUT and noise >= _SHORTEST else found
