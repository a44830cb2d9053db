"""Modbus TCP frames: MBAP header, PDU (MODBUS messaging on TCP/IP implementation guide V1.0b, section 3.1)."""

from struct import pack, unpack_from

from micropython import const

from gateway.acquire.modbus import protocol
from gateway.acquire.modbus.protocol import MORE, REFUSED
from gateway.core.errors import FrameError
from gateway.core.quality import CRC, EXCEPTION, INVALID, SHORT, WRONG_UNIT

_HEADER = const(7)  # transaction, protocol, length, unit
_COUNTED_FROM = const(6)  # the length counts the unit and the PDU
_LONGEST = const(254)
_SHORTEST = const(3)


def frame(transaction, unit, pdu):
    """FrameError(INVALID) when a number has no place in its field."""
    if not (0 <= transaction <= 0xFFFF and 0 <= unit <= 255):
        raise FrameError(INVALID)
    return pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def match(buf, length, request):
    """Look for the answer to the frame `request` among the first `length` bytes received on the connection.

    (0, index of the first data byte), (EXCEPTION, exception number), or (MORE, 0). Answers to older transactions are skipped.
    Any other result says that the stream is out of step, and only a new connection can help: (CRC, 0) for an impossible
    header, (WRONG_UNIT, 0), (SHORT, 0) for an answer that is not the one asked for.
    """
    wanted = unpack_from(">H", request, 0)[0]
    function = request[_HEADER]
    at = 0
    while at + _COUNTED_FROM <= length:
        transaction, kind, size = unpack_from(">HHH", buf, at)
        age = (wanted - transaction) & 0xFFFF
        if kind or not _SHORTEST <= size <= _LONGEST or age > 0x7FFF:
            return CRC, 0
        pdu = at + _HEADER
        at += _COUNTED_FROM + size
        if at > length:
            break
        if age:
            continue
        if buf[pdu - 1] != request[_HEADER - 1]:
            return WRONG_UNIT, 0
        if protocol.size_of(buf, pdu, at) == size - 1:
            if buf[pdu] == function | REFUSED:
                return EXCEPTION, buf[pdu + 1]
            if protocol.fits(request[_HEADER:], buf, pdu, size - 1):
                return 0, pdu + protocol.data_at(function)
        return SHORT, 0
    return MORE, 0
