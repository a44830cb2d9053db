"""A planned read on the device: as planned, or in the pieces that the device turned out to accept.

A device may refuse (exception 2 or 3) a read that crosses places it does not have, or that is longer than its firmware bears. Such a
read is halved on the spot, so that no round is lost, and asked whole again the next time: noise looks the same. Only when the same cut
has proved itself several times it is learned: "never read across this address". What is learned expires, for devices get new firmware.
"""

from struct import pack, unpack_from

from micropython import const

_EVIDENCE = const(3)  # refusals in a row that were cured by the same cut
_EXPIRES_DAYS = const(7)
_RELEARN = const(2)  # evidence that an expired cut starts with
_WORTH_A_HOLE = const(4)  # registers: a smaller hole is more likely a reserved place than the reason
MOST_VERDICTS = const(48)
_VERDICT = "<IBHH"  # CRC-32 of the device's id, function, address, day (since 2000; 0: unknown)
_VERDICT_BYTES = const(9)


class Part:
    """One request: `count` registers or bits from `address` on, and the fields of its answer (offsets from `address`)."""

    def __init__(self, address, count, fields):
        self.address = address
        self.count = count
        self.fields = fields
        self.frame = None  # what the bus puts on the wire, made once for the address at which the unit's map begins
        self.base = 0


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
        made.append(Part(part.address + first, count, [_moved(field, first) for field in fields]))
    return made


class Read:
    """`spec`: a read of the compiled site's polls; `unit` its device. `learned()` is called when `cuts` have changed."""

    def __init__(self, spec, unit):
        self.unit = unit
        self.function = spec[1]
        self.turnaround_ms, self.timeout_ms = spec[4], spec[5]
        self._whole = Part(spec[2], spec[3], spec[6])
        self.parts = [self._whole]
        self.cuts = []  # [address, day]: learned
        self._suspected = []  # [address, evidence]: not yet

    def taken(self, part):
        """The device answered this part as it was asked: whatever was suspected inside of it was noise."""
        if self._suspected:
            end = part.address + part.count
            self._suspected = [entry for entry in self._suspected if not part.address < entry[0] < end]

    def refused(self, part, cut, day):
        """The device refused `part`, but answered at least one piece of it when cut there. True when that is now learned."""
        address = part.address + cut
        for entry in self._suspected:
            if entry[0] == address:
                entry[1] += 1
                if entry[1] >= _EVIDENCE:
                    self._suspected.remove(entry)
                    self.adopt(address, day)
                    return True
                return False
        self._suspected.append([address, 1])
        return False

    def adopt(self, address, day):
        """Never read across this address from now on."""
        self.cuts.append([address, day])
        self._cut_up()

    def expire(self, today):
        """Forget what was learned long ago, nearly: one more refusal teaches it again. True when something was forgotten."""
        old = [cut for cut in self.cuts if today and cut[1] and today - cut[1] >= _EXPIRES_DAYS]
        if not old:
            return False
        self.cuts = [cut for cut in self.cuts if cut not in old]
        self._suspected += [[cut[0], _RELEARN] for cut in old]
        self._cut_up()
        return True

    def _cut_up(self):
        parts = [self._whole]
        for address, _ in sorted(self.cuts):
            last = parts[-1]
            cut = address - last.address
            if 0 < cut < last.count and _may_cut(last, cut):
                parts[-1:] = halves(last, cut)
        self.parts = parts


def _may_cut(part, cut):
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
