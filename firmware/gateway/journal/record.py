"""The provisional journal record: one round of one class. Big-endian:

    u16  length of the whole record, CRC included
    u8   acknowledgement: 0xFF = not acknowledged; its bits are cleared on flash later, so the CRC leaves it out
    u8   class in bits 0-3, bit 7: the clock was set (synced), other bits 0
    u32  epoch
    u32  seq
    u32  seconds: since 2000-01-01 if synced, else since boot
    u48  uptime in milliseconds
    u16  number of samples
         per sample: varint stream id, quality byte, zigzag varint mantissa (absent when bad)
    u32  CRC-32 (IEEE 802.3) of everything before it but the acknowledgement

A varint has 7 bits a byte, least significant first, bit 7 set on all but the last one.
"""

from binascii import crc32
from struct import pack_into, unpack_from

from micropython import const

from gateway.core.errors import FrameError
from gateway.core.quality import BAD, CRC, INVALID, OVERFLOW, SHORT

ACK_OFFSET = const(2)
SHORTEST = const(28)  # bytes of a record without samples

_LAYOUT = ">HBBIIIHIH"
_HEADER = const(24)
_SYNCED = const(0x80)
_ID_BYTES = const(5)
_MANTISSA_BYTES = const(10)


def _checksum(buf, at, end):
    view = memoryview(buf)
    return crc32(view[at + ACK_OFFSET + 1 : end - 4], crc32(view[at : at + ACK_OFFSET]))


def _put_varint(out, value):
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _get_varint(buf, at, end):
    """(value, index behind it); FrameError(INVALID) when it does not end before `end`."""
    value = shift = 0
    while at < end:
        byte = buf[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise FrameError(INVALID)


def encode(cls, epoch, seq, synced, seconds, uptime_ms, samples):
    """The record of a round, a bytearray. samples: (stream id, mantissa, quality byte), mantissas within 64 bits.

    FrameError(OVERFLOW) when it would be longer than 65535 bytes.
    """
    out = bytearray(_HEADER)
    for stream_id, mantissa, quality_byte in samples:
        _put_varint(out, stream_id)
        out.append(quality_byte)
        if quality_byte >> 6 != BAD:
            _put_varint(out, mantissa << 1 if mantissa >= 0 else ~(mantissa << 1))
    out.extend(b"\0\0\0\0")
    length = len(out)
    if length > 0xFFFF:
        raise FrameError(OVERFLOW)
    flags = cls | _SYNCED if synced else cls
    uptime_high = uptime_ms >> 32
    uptime_low = uptime_ms & 0xFFFF_FFFF
    pack_into(_LAYOUT, out, 0, length, 0xFF, flags, epoch, seq, seconds, uptime_high, uptime_low, len(samples))
    pack_into(">I", out, length - 4, _checksum(out, 0, length))
    return out


def decode(buf, at, end):
    """The record that begins at buf[at] and ends at or before buf[end]:

    (length, class, epoch, seq, synced, seconds, uptime_ms, samples), the mantissa of a bad sample 0. FrameError with
    SHORT (cut off, or no record), CRC (damaged) or INVALID (intact, but not written by `encode`).
    """
    if end - at < SHORTEST:
        raise FrameError(SHORT)
    length, _, flags, epoch, seq, seconds, uptime_high, uptime_low, count = unpack_from(_LAYOUT, buf, at)
    if not SHORTEST <= length <= end - at:
        raise FrameError(SHORT)
    end = at + length
    if unpack_from(">I", buf, end - 4)[0] != _checksum(buf, at, end):
        raise FrameError(CRC)
    if flags & 0x70:
        raise FrameError(INVALID)
    samples = _samples(buf, at + _HEADER, end - 4, count)
    return length, flags & 0x0F, epoch, seq, flags >= _SYNCED, seconds, uptime_high << 32 | uptime_low, samples


def _samples(buf, at, end, count):
    samples = []
    for _ in range(count):
        stream_id, at = _get_varint(buf, at, min(at + _ID_BYTES, end))
        if at == end:
            raise FrameError(INVALID)
        quality_byte = buf[at]
        at += 1
        mantissa = 0
        if quality_byte >> 6 > BAD:
            raise FrameError(INVALID)
        if quality_byte >> 6 != BAD:
            zigzag, at = _get_varint(buf, at, min(at + _MANTISSA_BYTES, end))
            mantissa = ~(zigzag >> 1) if zigzag & 1 else zigzag >> 1
        samples.append((stream_id, mantissa, quality_byte))
    if at != end:
        raise FrameError(INVALID)
    return samples
