"""Telegrams of a meter's customer port, H1 in Finland and P1 elsewhere: ASCII that the meter pushes, EN 62056-21 mode D.

    /XXX5 identification, an empty line, one line a value such as 1-0:1.8.0(00006678.394*kWh), and ! with the checksum

Lines end with CR LF. The checksum is CRC-16/ARC (x16 + x15 + x2 + 1, reflected, from 0) over all from "/" to "!", as four
upper-case hexadecimal digits. Neither "/" nor "!" can stand within.

Sources: Finnish decree 767/2021, chapter 6, section 5; SESKO SK 13-1, which takes the content from the Swedish
"Branschrekommendation lokalt kundgranssnitt for elmatare" 2.0 and the port from the Dutch P1 Companion Standard 5.0.2. Landis+Gyr
meters write kVAr where these write kvar (aviborg/esp-smart-meter, issue 16): the same unit.
"""

from array import array

from micropython import const

from gateway.core import exact
from gateway.core.quality import BAD, CRC, INVALID, NO_DATA, OVERFLOW, SHORT, pack

LONGEST = const(2048)
_LONGEST_VALUE = const(32)  # characters, EN 62056-21
_TAIL = const(5)  # "!" and the checksum
_SLASH = const(47)
_OPENING, _CLOSING = const(40), const(41)  # brackets
_STAR = const(42)
_CR = const(13)

_INVALID = (0, pack(BAD, INVALID))
_OVERFLOW = (0, pack(BAD, OVERFLOW))
_ABSENT = (0, pack(BAD, NO_DATA))


def _crc_of_byte(byte):
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_TABLE = array("H", [_crc_of_byte(byte) for byte in range(256)])


def _checksum(buf, end):
    """Of buf[:end]."""
    table = _TABLE
    crc = 0
    for i in range(end):
        crc = crc >> 8 ^ table[(crc ^ buf[i]) & 0xFF]
    return crc


class Telegram:
    """Collects bytes as they come, and keeps the last good telegram as it came, to be searched for what is wanted.

    Telegrams are counted: `good`, `crc` (wrong checksum, or none), `torn` (the next one began, or nothing came any more, before its
    end) and `long` (more than `longest` bytes).
    """

    def __init__(self, longest=LONGEST):
        self._buf = bytearray(longest)
        self._last = bytearray(longest)
        self._size = 0  # of the last good one, without its tail
        self._length = 0  # of the one under way, 0 between two
        self._mark = 0  # where its "!" stands, 0 while it has none
        self.good = self.crc = self.torn = self.long = 0

    @property
    def under_way(self):
        """Whether one has begun and not ended."""
        return self._length > 0

    def feed(self, buf, length):
        """Take in buf[:length] (bytes or bytearray). Returns how many good telegrams ended in it."""
        good = at = 0
        while at < length:
            start = buf.find(b"/", at, length)
            if self._length:
                good += self._take(buf, at, length if start < 0 else start)
            if start < 0:
                break
            self.gap()
            self._buf[0] = _SLASH
            self._length = 1
            self._mark = 0
            at = start + 1
        return good

    def gap(self):
        """What has begun goes on no more."""
        if self._length:
            self.torn += 1
            self._length = 0

    def errors(self):
        """((reason, count), ...) of what was not good."""
        return (CRC, self.crc), (SHORT, self.torn + self.long)

    def _take(self, buf, at, end):
        """More of the telegram under way, without any "/". 1 when a good one ends here."""
        have = self._length
        if not self._mark:
            mark = buf.find(b"!", at, end)
            if mark >= 0:
                self._mark = have + mark - at
        count = end - at
        if self._mark:
            count = min(count, self._mark + _TAIL - have)
        length = have + count
        if length > len(self._buf):
            self.long += 1
            self._length = 0
            return 0
        self._buf[have:length] = memoryview(buf)[at : at + count]
        self._length = length
        if not self._mark or length < self._mark + _TAIL:
            return 0
        self._length = 0
        return self._judge(self._mark)

    def _judge(self, mark):
        if self._buf[mark + 1 : mark + _TAIL] != "{:04X}".format(_checksum(self._buf, mark + 1)).encode():
            self.crc += 1
            return 0
        self._buf, self._last = self._last, self._buf
        self._size = mark
        self.good += 1
        return 1

    def value(self, key, unit, m, shift):
        """(mantissa, quality byte) of the line `key` of the last good telegram, times m * 10 ** shift.

        The last bracket counts: others before it hold the time of the reading. Bad: no_data without such a line, invalid without a
        number in this unit, overflow.
        """
        buf = self._last
        at = self._behind(key)
        if at < 0:
            return _ABSENT
        end = buf.find(b"\n", at, self._size)
        if end < 0:
            end = self._size
        if buf[end - 1] == _CR:
            end -= 1
        start = buf.rfind(b"(", at, end)
        if start < 0 or buf[end - 1] != _CLOSING:
            return _INVALID
        number, _, written = bytes(buf[start + 1 : end - 1]).partition(b"*")
        if _unit(written) != _unit(unit.encode()):
            return _INVALID
        return _value(number, m, shift)

    def _behind(self, key):
        """Where the line of this OBIS code goes on behind it, with its bracket or with *F; -1 without such a line."""
        buf = self._last
        begin = b"\n" + key.encode()
        at = buf.find(begin, 0, self._size)
        while at >= 0:
            at += len(begin)
            if buf[at] == _OPENING or buf[at] == _STAR:
                break
            at = buf.find(begin, at, self._size)
        return at


def _unit(written):
    return written.replace(b"VAr", b"var")


def _value(text, m, shift):
    if len(text) > _LONGEST_VALUE:
        return _INVALID
    if text[:1] == b"-":
        m = -m
        text = text[1:]
    whole, _, part = text.partition(b".")
    digits = whole + part
    if not digits.isdigit():
        return _INVALID
    mantissa = exact.scale(int(digits), m, shift - len(part))
    return _OVERFLOW if mantissa is None else (mantissa, 0)
