"""The console's `exchange POINT OLD_END NEW_START [OLD_SERIAL NEW_SERIAL]`: somebody has exchanged a meter."""

from gateway.core import exact


def declare(rooms, words):
    """{"exchanged": point, "result": how it went}; None for too few or too many words.

    `words`: point, last reading of the old meter, first one of the new, both in the point's unit; serial numbers are optional.
    """
    if len(words) not in (3, 5):
        return None
    name, old_end, new_start = words[:3]
    return {"exchanged": name, "result": _declare(rooms, name, old_end, new_start, list(words[3:]) or ["", ""])}


def _declare(rooms, name, old_end, new_start, serials):
    for index, point in enumerate(rooms.site["points"]):
        if point[0] == name:
            readings = []
            for text in (old_end, new_start):
                mantissa = exact.parse(text, point[1])
                if mantissa is None:
                    return "not a number: " + text
                readings.append(mantissa)
            now_s = rooms.clock.uptime_ms() // 1000
            refusal = rooms.counters.declare(index, readings[0], readings[1], serials[0], serials[1], now_s)
            if refusal:
                return "refused: " + refusal
            return "kept" if rooms.counters.is_kept(index) else "in force, but flash did not take it"
    return "no such point"
