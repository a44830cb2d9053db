"""Where a read that a device refuses may be cut, and what flash keeps of the cuts that were learned. Loaded when there is one."""

from struct import pack, unpack_from

from micropython import const

_WORTH_A_HOLE = const(4)  # registers: a smaller hole is more likely a reserved place than the reason
MOST_VERDICTS = const(48)
_VERDICT = "<IBHH"  # CRC-32 of the device's id, function, address, day (since 2000; 0: unknown)
_VERDICT_BYTES = const(9)


def _span(field):
    """(first, end) of the registers (or bits) that a field needs, its scale register among them."""
    kind = field[2]
    more = field[7] if len(field) > 7 else None
    if kind == "string":
        size = more[1]
    elif kind == "bool":
        size = 1
    else:
        size = (int(kind[3:] if kind[0] == "b" else kind[1:]) + 15) // 16
    first, end = field[1], field[1] + size
    if more and more[0] == "scale":
        first, end = min(first, more[1]), max(end, more[1] + 1)
    return first, end


def _moved(field, by):
    """The field with its offsets counted from another start."""
    moved = list(field)
    moved[1] -= by
    if len(moved) > 7 and moved[7][0] == "scale":
        moved[7] = ["scale", moved[7][1] - by]
    return moved


def best_cut(part):
    """Offset at which to cut a refused read: across its largest hole, else in the middle; 0 when it cannot be cut.

    The offset is the start of the second piece; no value is cut.
    """
    spans = sorted([_span(field) for field in part.fields])
    best, best_merit, end = 0, -1, spans[0][1]
    for first, after in spans[1:]:
        if first >= end:
            hole = first - end
            merit = min(first, part.count - first)
            if hole >= _WORTH_A_HOLE:
                merit += hole * part.count
            if merit > best_merit:
                best, best_merit = first, merit
        end = max(end, after)
    return best


def halves(part, cut):
    """The two parts before and from the offset `cut` on, each no longer than its fields need."""
    made = []
    for wanted in (True, False):
        fields = [field for field in part.fields if (_span(field)[0] < cut) == wanted]
        spans = [_span(field) for field in fields]
        first = min([span[0] for span in spans])
        count = max([span[1] for span in spans]) - first
        made.append(type(part)(part.address + first, count, [_moved(field, first) for field in fields]))
    return made


def may_cut(part, cut):
    before = after = False
    for field in part.fields:
        first, end = _span(field)
        if first < cut < end:
            return False
        before = before or first < cut
        after = after or first >= cut
    return before and after


def verdicts(reads, key):
    """What all reads have learned, for the state ring: at most MOST_VERDICTS, the newest. `key(unit)` is a u32 for its device."""
    rows = []
    for read in reads:
        for address, day in read.cuts:
            rows.append((day, pack(_VERDICT, key(read.unit), read.function, address, day)))
    rows.sort()
    return b"".join([row[1] for row in rows[-MOST_VERDICTS:]])


def recall(reads, data, key):
    """Give the reads back what was learned before a restart, whatever the site looks like now."""
    for at in range(0, len(data) - _VERDICT_BYTES + 1, _VERDICT_BYTES):
        device, function, address, day = unpack_from(_VERDICT, data, at)
        for read in reads:
            if read.function == function and key(read.unit) == device:
                whole = read.parts[0].address, read.parts[-1].address + read.parts[-1].count
                if whole[0] < address < whole[1] and address not in [cut[0] for cut in read.cuts]:
                    read.adopt(address, day)
