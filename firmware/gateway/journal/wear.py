"""What the flash has to bear, from what was written since the start: hours of outage that fit, writes an hour, years it will last."""

from micropython import const

BLOCK = const(4096)
ERASES = const(100000)  # a block of SPI NOR flash bears (data sheets)
_HOUR_MS = const(3600000)
_YEAR_H = const(8766)
_MOST_YEARS = const(1000)
_SOON_MS = const(600000)  # before that, the rates say nothing


def about(journal, state, uptime_ms):
    """{"writes_h", "bytes_h", "outage_h", "years"}, whole numbers, outage and years of the class or ring that has the least of them;
    without the last two while the gateway has not run for ten minutes."""
    flash = journal.flash
    said = {
        "writes_h": (flash.writes + state.writes) * _HOUR_MS // max(1, uptime_ms),
        "bytes_h": (flash.bytes + state.bytes) * _HOUR_MS // max(1, uptime_ms),
        "failures": flash.failures + state.failures,
        "worn_blocks": journal.pool.worn,
    }
    if uptime_ms >= _SOON_MS:
        outage_h, years = [], [_years(state.blocks, max(1, state.room), state.bytes, uptime_ms)]
        for ring in journal.rings:
            blocks = journal.pool.shares[ring.cls]
            if ring.bytes:
                outage_h.append((blocks - 1) * BLOCK * uptime_ms // (ring.bytes * _HOUR_MS))
            years.append(_years(blocks, BLOCK, ring.bytes, uptime_ms))
        said["outage_h"] = min(outage_h) if outage_h else 0
        said["years"] = min(years)
    return said


def _years(blocks, room, written, uptime_ms):
    """Until each of the blocks has been erased so often, when it takes `room` bytes a time."""
    if not written:
        return _MOST_YEARS
    hours = blocks * room * ERASES // written * uptime_ms // _HOUR_MS
    return min(_MOST_YEARS, hours // _YEAR_H)
