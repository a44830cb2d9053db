"""The watchdog, fed from one place, and only while the work goes on."""

import asyncio

from machine import WDT
from micropython import const

_TIMEOUT_MS = const(60000)
_FEED_MS = const(5000)


async def guard(poller, clock, longest_period_s):
    """Feed the watchdog as long as poll rounds are finished; a round may take as long as its period, twice."""
    allowed_ms = max(4 * longest_period_s * 1000, _TIMEOUT_MS)
    watchdog = WDT(timeout=_TIMEOUT_MS)
    while True:
        if clock.uptime_ms() - poller.progress_ms < allowed_ms:
            watchdog.feed()
        await asyncio.sleep_ms(_FEED_MS)
