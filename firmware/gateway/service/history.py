"""The console's `history STREAM FROM TO [AFTER]`: what the journal still has of a stream, whether the broker has it or not.

FROM and TO are Unix seconds; in their place a length of time such as 90m, 6h or 2d means "until now". An answer has at most 50 samples; when
there are more, `after` says with which AFTER to go on.
"""

import asyncio

from micropython import const

from gateway.core import exact
from gateway.core.quality import BAD, quality, reason_name

_MOST = const(50)
_UNIX_2000 = const(946684800)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_QUALITY = ("good", "uncertain", "bad")


async def history(rooms, name, words):
    """{"stream", "samples": [[unix seconds or 0, value, quality, epoch, seq, confirmed], ...], "after"}; {"result"} for what cannot be."""
    stream = None
    for table in ("retired", "streams"):  # one that is gone, unless there is one of that name now
        for row in rooms.site[table]:
            if row[1] == name:
                stream = row
    if stream is None:
        return {"stream": name, "result": "no such stream; `points` and `ledger` list them"}
    if stream[7]:
        return {"stream": name, "result": "private"}
    span = _span(words, rooms.clock)
    if span is None:
        return {"stream": name, "result": "when? FROM TO in Unix seconds, or a length such as 90m, 6h, 2d"}
    first, last, after = span
    rows, more = [], ""
    sequence = 0
    while not more:
        sequence, found = rooms.journal.search(stream[5], stream[0], after, sequence)
        if not sequence:
            break
        for round, place, waits in found:
            seconds = _seconds(rooms, round)
            if seconds and not first <= seconds <= last:
                continue
            if len(rows) == _MOST:
                more = "{}.{}".format(rows[-1][3], rows[-1][4])
                break
            rows.append(_row(round, place, waits, seconds))
        await asyncio.sleep_ms(0)  # a block takes its time: the buses go on between two of them
    return {"stream": name, "samples": rows, "after": more}


def _row(round, place, waits, seconds):
    mark = round.marks[place]
    if quality(mark) == BAD:
        value = reason_name(mark)
    else:
        value = exact.decimal(round.values[place], round.schema.exponents[place])
    return [seconds, value, _QUALITY[quality(mark)], round.epoch, round.seq, not waits]


def _seconds(rooms, round):
    """Unix seconds of a round; 0 while nobody knows."""
    if round.synced:
        return round.seconds + _UNIX_2000
    if round.epoch == rooms.epoch and rooms.clock.synced:
        return rooms.clock.utc_of(round.uptime_ms) + _UNIX_2000
    return 0


def _span(words, clock):
    """(first, last Unix second, (epoch, seq) to go on behind) of the words; None when they say something else."""
    after = (0, 0)
    try:
        if len(words) in (1, 2) and words[0][-1:] in _UNITS:
            last = clock.now_ms() // 1000 + _UNIX_2000 if clock.synced else 1 << 40
            first = last - int(words[0][:-1]) * _UNITS[words[0][-1:]] if clock.synced else 0
            rest = words[1:]
        elif len(words) in (2, 3):
            first, last, rest = int(words[0]), int(words[1]), words[2:]
        else:
            return None
        if rest:
            epoch, seq = rest[0].split(".")
            after = (int(epoch), int(seq))
    except ValueError:
        return None
    return first, last, after
