"""A Modbus RTU link: single transactions on a UART with a direction pin.

Field notes: timeout=0 makes every byte visible at once; the direction pin follows flush(); the end of a frame is told by its length.
"""

import time

import asyncio
from machine import UART, Pin
from micropython import const

from gateway.acquire.modbus import rtu_frame
from gateway.acquire.modbus.waiting import pause

_BUFFER = const(520)  # the longest request's echo and the longest answer
_FIXED_GAP_ABOVE = const(19200)
_FIXED_GAP_US = const(1750)
_LONGEST_TALK = const(80)  # silences of 3.5 characters: more than the longest frame lasts
# Functions whose answer never looks like the request: it has an odd number of bytes, the request 8.
_UNMISTAKABLE = b"\x03\x04"
_PARITY = {"N": None, "E": 0, "O": 1}


class RtuLink:
    """`spec`: an entry of the compiled site's "buses". After an exchange `buffer[:end]` is what came, `took_us` after the request."""

    def __init__(self, spec):
        parity = _PARITY[spec["parity"]]
        self._de = Pin(spec["de"], Pin.OUT, value=0) if spec["de"] >= 0 else None
        self._uart = UART(
            spec["uart"],
            baudrate=spec["baud"],
            bits=8,
            parity=parity,
            stop=spec["stop_bits"],
            tx=Pin(spec["tx"]),
            rx=Pin(spec["rx"]),
            txbuf=256,
            rxbuf=512,
            timeout=0,
            timeout_char=0,
        )
        bits = 9 + spec["stop_bits"] + (parity is not None)
        self._char_us = (bits * 1000000 + spec["baud"] - 1) // spec["baud"]
        self._gap_us = _FIXED_GAP_US if spec["baud"] > _FIXED_GAP_ABOVE else (7 * self._char_us + 1) // 2
        self._echo = spec["echo"]
        self._silence_us = 0  # after the last transaction, and
        self._free_at = time.ticks_us()  # when the next one may start therefore
        self.buffer = bytearray(_BUFFER)
        self._view = memoryview(self.buffer)
        self.end = 0
        self.sent = 0
        self.took_us = 0
        self._echoed = 0

    FUNCTION = 1  # where it stands in a frame
    frame = staticmethod(rtu_frame.frame)

    @staticmethod
    def confusable(one, other):
        """Can the answer to one frame be taken for that to the other? RTU answers say the function and how many bytes, not from where."""
        return one != other and one[1] == other[1] and one[4:6] == other[4:6]

    async def exchange(self, frame, earliest_us, patience_us, gap_ms):
        """Send a frame and wait for its answer: (0, index of the data), (EXCEPTION, number), or (reason, 0).

        The answer's first byte comes after `earliest_us` and within `patience_us`, counted from the end of the request.
        """
        size = rtu_frame.reply_bytes(frame)
        char_us = self._char_us
        left = time.ticks_diff(self._free_at, time.ticks_us())
        if left <= self._silence_us:  # more cannot be: the ticks went half around since the last request, nine minutes
            await pause(left)
        await self._listen()
        self._send(frame)
        deadline = time.ticks_add(self.sent, patience_us + char_us)
        await pause(max(earliest_us, self._gap_us) + size * char_us)
        heard = 0
        reason, found = self._receive(frame)
        while reason == rtu_frame.MORE:
            now = time.ticks_us()
            if self.end - self._echoed > heard:  # it goes on: wait for all of it
                heard = self.end - self._echoed
                deadline = time.ticks_add(now, (max(size - heard, 1) + 4) * char_us)
            left = time.ticks_diff(deadline, now)
            if left <= 0:
                reason, found = rtu_frame.verdict(self.buffer, self.end, frame), 0
                break
            if heard:
                await pause(min(left, max(size - heard, 1) * char_us))
            else:
                await asyncio.sleep_ms(5)
            reason, found = self._receive(frame)
        self._silence_us = max(gap_ms * 1000, self._gap_us)
        self._free_at = time.ticks_add(time.ticks_us(), self._silence_us)
        return reason, found

    async def linger(self, frame, patience_us):
        """Let pass by a second answer to the last frame, if there is one; what has been received stays in `buffer`."""
        last = patience_us + rtu_frame.reply_bytes(frame) * self._char_us + self._gap_us
        await pause(last - time.ticks_diff(time.ticks_us(), self.sent))

    async def _listen(self):
        """Drop what came unasked, and do not speak into it."""
        for _ in range(_LONGEST_TALK):
            if not self._uart.any():
                return
            self._uart.readinto(self.buffer)
            await pause(self._gap_us)

    def _send(self, frame):
        """Put a frame on the wire; `sent` is the time (us) at which its last stop bit had left."""
        uart = self._uart
        self.end = self.took_us = 0
        self._echoed = len(frame) if self._echo else 0  # bytes that come back before any answer
        if self._de:
            self._de.value(1)
        uart.write(frame)
        uart.flush()
        if self._de:
            self._de.value(0)
        self.sent = time.ticks_us()

    def _receive(self, frame):
        """Take in what has come and look for the answer."""
        room = _BUFFER - self.end
        got = self._uart.readinto(self._view[self.end :], room) if room else None
        if got:
            self.end += got
            if not self._echo and frame[1] in _UNMISTAKABLE and self.buffer[: len(frame)] == frame:
                self._echo = True  # nobody has told, but the line echoes
                self._echoed = len(frame)
            answered = self.end - self._echoed
            if answered > 0 and not self.took_us:
                self.took_us = max(time.ticks_diff(time.ticks_us(), self.sent) - answered * self._char_us, 1)
            return rtu_frame.match(self.buffer, self.end, frame, self._echo)
        return rtu_frame.MORE, 0
