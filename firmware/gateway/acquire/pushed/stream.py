"""Sensors that send frames of one length by themselves: a header, values, and a checksum at the end.

Such as the A02YYUW at 9600 Bd: FF, high byte, low byte, sum; the distance in mm (DFRobot wiki, SEN0311).
"""

from gateway.acquire.modbus import registers
from gateway.core.errors import SettingError
from gateway.core.quality import CRC, INVALID


class Frames:
    """`header`: the bytes that every frame begins with; `length`: bytes of a frame; `checksum`: "sum8", the low byte of the sum of
    all before it.

    Counted are frames, `good` and with a wrong `checksum`, and bytes `skipped` between frames. After garbage the next whole frame
    counts again.
    """

    def __init__(self, header, length, checksum):
        if checksum != "sum8":
            raise SettingError(INVALID)
        self._header = bytes(header)
        self._frame = bytearray(length)
        self._last = bytearray(length)
        self._end = 0  # bytes of the frame under way
        self.good = self.checksum = self.skipped = 0

    @property
    def under_way(self):
        """Whether one has begun and not ended."""
        return self._end > 0

    def feed(self, buf, length):
        """Take in buf[:length]. Returns how many good frames ended in it."""
        frame = self._frame
        good = 0
        for i in range(length):
            frame[self._end] = buf[i]
            self._end += 1
            while self._end and not self._fits(self._end):
                self._end -= 1
                self.skipped += 1
                for place in range(self._end):
                    frame[place] = frame[place + 1]
            if self._end == len(frame):
                self._last[:] = frame
                self._end = 0
                good += 1
        self.good += good
        return good

    def _fits(self, end):
        """Can the first bytes be (the beginning of) a frame?"""
        frame = self._frame
        header = self._header
        for place in range(min(end, len(header))):
            if frame[place] != header[place]:
                return False
        if end < len(frame):
            return True
        total = 0
        for place in range(end - 1):
            total += frame[place]
        if total & 0xFF == frame[end - 1]:
            return True
        self.checksum += 1
        return False

    def gap(self):
        """What has begun goes on no more."""
        self.skipped += self._end
        self._end = 0

    def errors(self):
        """((reason, count), ...) of what was not good."""
        return ((CRC, self.checksum),)

    def value(self, field):
        """(mantissa, quality byte) of a field (see registers.value) of the last good frame; its offset counts bytes of the frame."""
        return registers.value(self._last, -field[1], field)  # which counts two bytes a register
