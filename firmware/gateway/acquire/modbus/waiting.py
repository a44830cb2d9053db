"""Waiting to the microsecond on a 10 ms scheduler."""

import time

import asyncio
from micropython import const

_TICK_US = const(10000)  # asyncio's waits end on a scheduler tick


async def pause(us):
    """Wait at least that long, and hardly longer: the last stretch below a scheduler tick is spent in place."""
    if us > 2 * _TICK_US:
        end = time.ticks_add(time.ticks_us(), us)
        await asyncio.sleep_ms(us // 1000 - 11)
        us = time.ticks_diff(end, time.ticks_us())
    if us > 0:
        time.sleep_us(us)
