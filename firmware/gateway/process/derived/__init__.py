"""Quantities that the device computes from others, each built from its compiled spec:

[kind, [points it reads], [points it gives, -1 for one that nobody wants], whole numbers and lists of them ...].

A derivation has `sources` and `outputs`, indexes of points, and derive(readings, fresh, now_s, slot, synced): one result
per output, (mantissa, quality byte), or None when there is nothing to report. readings: (mantissa, quality byte) per
source, None for one that was never heard: until all have been, nothing is reported. fresh: which are of this slot.
now_s is uptime in seconds; should it fall, nothing has passed. Mantissas, in and out, lie within +-(2 ** 63 - 1).

What must outlive a power cut, kept() gives in bytes, and restore(data) takes again; b"" where there is nothing.
report(event, point, about) is told of events, about being (key, value): mantissas at that point's exponent, or text.
"""

from gateway.core.errors import require
from gateway.core.exact import bounded, divide_half_even
from gateway.core.quality import BAD, INCOMPLETE, NO_DATA, OVERFLOW, pack

MISSING = pack(BAD, INCOMPLETE)
NOT_YET = (0, pack(BAD, NO_DATA))  # a result that needs more time
_OVERFLOW = (0, pack(BAD, OVERFLOW))


def rounded(n, d, quality_byte):
    """A result n / d, rounded half-even; (0, bad) where it does not fit."""
    value = bounded(divide_half_even(n, d))
    return _OVERFLOW if value is None else (value, quality_byte)


def doubt_of(readings):
    """The quality byte of what is computed from all of them: bad when one is, else that of the first uncertain one."""
    doubt = 0
    for _, quality_byte in readings:
        if quality_byte >> 6 == BAD:
            return MISSING
        doubt = doubt or quality_byte
    return doubt


class Derivation:
    """`_results(readings, fresh, now_s)` of a kind: one result for each of its outputs, wanted or not."""

    def __init__(self, sources, outputs):
        self.sources = tuple(sources)
        self._wanted = tuple([at for at, point in enumerate(outputs) if point >= 0])
        self.outputs = tuple([outputs[at] for at in self._wanted])

    def derive(self, readings, fresh, now_s, slot, synced):
        for reading in readings:
            if reading is None:
                return [None] * len(self.outputs)
        results = self._results(readings, fresh, now_s)
        return [results[at] for at in self._wanted]

    def kept(self):
        return b""

    def restore(self, data):
        pass


def kinds(name):
    """The kinds among which the name is. A submodule costs memory only once a site names one of its own."""
    if name in ("sum", "imbalance"):
        from gateway.process.derived import combine

        return combine.KINDS
    if name in ("rate", "total"):
        from gateway.process.derived import energy

        return energy.KINDS
    if name in ("temperature_alarm", "tilt"):
        from gateway.process.derived import alarm

        return alarm.KINDS
    if name in ("topp", "table"):
        from gateway.process.derived import soil

        return soil.KINDS
    if name == "leak":
        from gateway.process.derived import leak

        return leak.KINDS
    require(name == "bin")
    from gateway.process.derived import bin

    return bin.KINDS


def whole(value):
    """It is an integer within the bounds of a mantissa, or a list of such, or of lists of such."""
    if type(value) in (list, tuple):
        for item in value:
            if not whole(item):
                return False
        return True
    return type(value) is int and bounded(value) is not None


def build(spec, report):
    """A new derivation; SettingError(INVALID) for an unknown kind and for arguments wrong in number, type or size."""
    require(type(spec) in (list, tuple) and len(spec) >= 3 and type(spec[0]) is str)
    kind, fewest, most, outputs, count = kinds(spec[0])[spec[0]]
    require(type(spec[1]) in (list, tuple) and fewest <= len(spec[1]) <= most)
    require(type(spec[2]) in (list, tuple) and len(spec[2]) == outputs)
    require(len(spec) == 3 + count)
    for argument in spec[1:]:
        require(whole(argument))
    for point in list(spec[1]) + list(spec[2]):
        require(type(point) is int and point >= -1)
    return kind(spec[1], spec[2], report, *spec[3:])
