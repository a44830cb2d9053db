"""What flash keeps of one counter: a row of a few bytes, most of which a counter that runs smoothly does not need.

Row: its length without this byte (u8), CRC-32 of the counter's name (u32), decimal exponent (s8), flags (u8), then numbers as varints:
reading, total - reading; with _DEBT debt; with _JUMP before, first - before, gap_s, counted; with _OPEN row, first, doubted - first, gap_s;
with _DECLARED the stamp of the last declaration.
"""

from struct import pack, unpack_from

from micropython import const

from gateway.core import varint
from gateway.core.errors import FrameError
from gateway.core.exact import bounded
from gateway.process.counter import Jump

LONGEST = const(128)  # bytes of a row with everything in it, each number as large as it can be
_HEAD = const(7)
_DEBT = const(1)
_JUMP = const(2)
_OPEN = const(4)
_DECLARED = const(8)
_EXCHANGED = const(16)
_ANEW = const(32)


def put(out, name_crc, exponent, counter, stamp):
    """Append the row of a counter that has been heard to a bytearray. `stamp`: of its last declaration, 0: none."""
    start = len(out)
    jump = counter.jump
    flags = _DEBT if counter.debt else 0
    flags |= (_JUMP if jump else 0) | (_OPEN if counter.row else 0) | (_DECLARED if stamp else 0)
    flags |= (_EXCHANGED if counter.exchanged else 0) | (_ANEW if counter.row and counter.anew else 0)
    out.extend(pack(">BIbB", 0, name_crc, exponent, flags))
    varint.put_signed(out, counter.reading)
    varint.put_signed(out, counter.total - counter.reading)
    if counter.debt:
        varint.put(out, counter.debt)
    if jump:
        varint.put_signed(out, jump.before)
        varint.put_signed(out, jump.first - jump.before)
        varint.put(out, jump.gap_s)
        varint.put(out, jump.counted)
    if counter.row:
        varint.put(out, counter.row)
        varint.put_signed(out, counter.first)
        varint.put_signed(out, counter.doubted - counter.first)
        varint.put(out, counter.gap_s)
    if stamp:
        varint.put(out, stamp)
    out[start] = len(out) - start - 1


def split(value):
    """[(CRC-32 of the name, row), ...] of what flash has under a key; what is not made of rows gives none."""
    rows = []
    at = 0
    while at < len(value):
        end = at + 1 + value[at]
        if end - at < _HEAD or end > len(value):
            return []
        rows.append((unpack_from(">I", value, at + 1)[0], bytes(value[at:end])))
        at = end
    return rows


def restore(counter, row, exponent):
    """Give a counter what its row tells; the stamp, or None for a row that is damaged: then nothing is changed.

    Numbers of another exponent are brought to this one, downwards: a total must not be ahead of its counter. What waited then is dropped.
    """
    try:
        return _restore(counter, row, exponent)
    except FrameError:
        return None


def _restore(counter, row, exponent):
    stored, flags = unpack_from(">bB", row, 5)
    numbers = _numbers(row, flags)
    reading, total = _shift(numbers[0], stored - exponent), _shift(numbers[0] + numbers[1], stored - exponent)
    if reading is None or total is None:
        return None
    at = 2
    debt, jump, waiting, stamp = 0, None, None, 0
    if flags & _DEBT:
        debt = _shift(numbers[at], stored - exponent)
        at += 1
    if flags & _JUMP:
        before, way, gap_s, counted = numbers[at : at + 4]
        jump = Jump(before, before + way, gap_s, counted)
        at += 4
        if bounded(jump.before) is None or bounded(jump.first) is None or bounded(counted) is None:
            return None
    if flags & _OPEN:
        waiting = numbers[at : at + 4]
        at += 4
        if bounded(waiting[1]) is None or bounded(waiting[1] + waiting[2]) is None:
            return None
    if flags & _DECLARED:
        stamp = numbers[at]
    if debt is None or stamp >> 32:
        return None
    counter.heard = True
    counter.reading, counter.total, counter.debt = reading, total, debt
    counter.exchanged = flags & _EXCHANGED > 0
    if stored == exponent:
        counter.jump = jump
        if waiting and waiting[0]:
            counter.wait(waiting[0], waiting[1], waiting[1] + waiting[2], waiting[3], flags & _ANEW > 0)
    return stamp


def _numbers(row, flags):
    signs = "ss"  # s: signed, u: not
    for flag, more in ((_DEBT, "u"), (_JUMP, "ssuu"), (_OPEN, "ussu"), (_DECLARED, "u")):
        if flags & flag:
            signs += more
    numbers = []
    at = _HEAD
    for sign in signs:
        number, at = (varint.get_signed if sign == "s" else varint.get)(row, at, len(row))
        numbers.append(number)
    return numbers


def _shift(number, places):
    """number * 10 ** places rounded down; None out of bounds."""
    if not -18 <= places <= 18:
        return None
    return bounded(number * 10**places if places >= 0 else number // 10**-places)
