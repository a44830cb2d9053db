"""A planned read on the device: as planned, or in the pieces that the device turned out to accept.

A device may refuse (exception 2 or 3) a read that crosses places it does not have, or that is longer than its firmware bears. Such a
read is halved on the spot, so that no round is lost, and asked whole again the next time: noise looks the same. Only when the same cut
has proved itself several times it is learned: "never read across this address". What is learned expires, for devices get new firmware.
How a read is cut, cuts.py knows, which only a site with such a device loads.
"""

from micropython import const

_EVIDENCE = const(3)  # refusals in a row that were cured by the same cut
_EXPIRES_DAYS = const(7)
_RELEARN = const(2)  # evidence that an expired cut starts with


class Part:
    """One request: `count` registers or bits from `address` on, and the fields of its answer (offsets from `address`)."""

    def __init__(self, address, count, fields):
        self.address = address
        self.count = count
        self.fields = fields
        self.frame = None  # what the bus puts on the wire, made once for the address at which the unit's map begins
        self.base = 0


class Read:
    """`spec`: a read of the compiled site's polls; `unit` its device. `learned()` is called when `cuts` have changed."""

    def __init__(self, spec, unit):
        self.unit = unit
        self.function = spec[1]
        self.turnaround_ms, self.timeout_ms = spec[4], spec[5]
        self._whole = Part(spec[2], spec[3], spec[6])
        self.parts = (self._whole,)
        self.cuts = ()  # (address, day): learned
        self._suspected = ()  # [address, evidence]: not yet

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
                    self._suspected = [other for other in self._suspected if other is not entry]
                    self.adopt(address, day)
                    return True
                return False
        self._suspected = list(self._suspected) + [[address, 1]]
        return False

    def adopt(self, address, day):
        """Never read across this address from now on."""
        self.cuts = list(self.cuts) + [[address, day]]
        self._cut_up()

    def expire(self, today):
        """Forget what was learned long ago, nearly: one more refusal teaches it again. True when something was forgotten."""
        old = [cut for cut in self.cuts if today and cut[1] and today - cut[1] >= _EXPIRES_DAYS]
        if not old:
            return False
        self.cuts = [cut for cut in self.cuts if cut not in old]
        self._suspected = list(self._suspected) + [[cut[0], _RELEARN] for cut in old]
        self._cut_up()
        return True

    def _cut_up(self):
        from gateway.acquire.modbus.cuts import halves, may_cut

        parts = [self._whole]
        for address, _ in sorted(self.cuts):
            last = parts[-1]
            cut = address - last.address
            if 0 < cut < last.count and may_cut(last, cut):
                parts[-1:] = halves(last, cut)
        self.parts = parts
