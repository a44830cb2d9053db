"""The one owner of an RS-485 bus: Modbus RTU master on a UART with a direction pin.

Field notes: timeout=0 makes every byte visible at once; the direction pin follows flush(); the end of a frame is told by its length.
"""

import time

import asyncio
from machine import UART, Pin
from micropython import const

from gateway.acquire import modbus
from gateway.core.quality import CRC, EXCEPTION, SHORT, WRONG_UNIT

_BUFFER = const(320)  # the longest answer, with noise before it
_FIXED_GAP_ABOVE = const(19200)
_FIXED_GAP_US = const(1750)
_TICK_US = const(10000)  # asyncio's waits end on a scheduler tick
_PARITY = {"N": None, "E": 0, "O": 1}
_WORTH_ANOTHER_TRY = (CRC, SHORT, WRONG_UNIT)


class RtuBus:
    """`spec`: an entry of the compiled site's "buses". Errors are counted by reason in `errors`."""

    def __init__(self, spec):
        parity = _PARITY[spec["parity"]]
        self.name = spec["id"]
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
        self._free_at = time.ticks_us()  # when the next request may start
        self.buffer = bytearray(_BUFFER)
        self._view = memoryview(self.buffer)
        self._length = 0
        self.requests = 0
        self.errors = [0] * 16  # by reason
        self.exception = 0  # number of the last Modbus exception

    async def read(self, request, turnaround_ms, timeout_ms, gap_ms):
        """Ask for bits or registers with a frame of modbus.read_request: (0, index of the data in `buffer`), or (reason, 0).

        A damaged answer is worth a second request; silence is not, it has cost its time-out already.
        """
        reason = 0
        for _ in range(2):
            reason, found = await self._transact(request, turnaround_ms, timeout_ms, gap_ms)
            if reason == 0:
                return 0, found
            self.errors[reason] += 1
            if reason == EXCEPTION:
                self.exception = found
            if reason not in _WORTH_ANOTHER_TRY:
                break
        return reason, 0

    async def _transact(self, request, turnaround_ms, timeout_ms, gap_ms):
        size = modbus.reply_length(request[1], request[4] << 8 | request[5])
        await _pause(time.ticks_diff(self._free_at, time.ticks_us()))
        sent = self._send(request)
        deadline = time.ticks_add(sent, timeout_ms * 1000 + size * self._char_us)
        await _pause(max(turnaround_ms * 1000, self._gap_us) + size * self._char_us)
        reason, found = self._receive(request)
        while reason == modbus.MORE and time.ticks_diff(deadline, time.ticks_us()) > 0:
            if self._length:
                await _pause(max(size - self._length, 1) * self._char_us)
            else:
                await asyncio.sleep_ms(5)
            reason, found = self._receive(request)
        if reason == modbus.MORE:
            reason = modbus.verdict(self.buffer, self._length, request)
        self._free_at = time.ticks_add(time.ticks_us(), max(gap_ms * 1000, self._gap_us))
        return reason, found

    def _send(self, request):
        """Put a frame on the wire; returns the time (us) at which its last stop bit had left."""
        uart = self._uart
        while uart.any():
            uart.readinto(self.buffer)
        self._length = 0
        self.requests += 1
        if self._de:
            self._de.value(1)
        uart.write(request)
        uart.flush()
        if self._de:
            self._de.value(0)
        return time.ticks_us()

    def _receive(self, request):
        """Take in what has come and look for the answer."""
        room = _BUFFER - self._length
        got = self._uart.readinto(self._view[self._length :], room) if room else None
        if got:
            self._length += got
            return modbus.match_reply(self.buffer, self._length, request)
        return modbus.MORE, 0


async def _pause(us):
    """Wait at least that long, and hardly longer: the last stretch below a scheduler tick is spent in place."""
    if us > 2 * _TICK_US:
        end = time.ticks_add(time.ticks_us(), us)
        await asyncio.sleep_ms(us // 1000 - 11)
        us = time.ticks_diff(end, time.ticks_us())
    if us > 0:
        time.sleep_us(us)
