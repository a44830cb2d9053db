"""From the readings of a slot to the samples of its rounds: filters, windows, streams.

A slot is an integer second. Per slot the owner calls close_windows, then offer for every reading, then take.
Values wait in arrays, one place per stream: nothing is allocated for a reading that goes into a window.
"""

from array import array

from micropython import const

from gateway.core.quality import BAD, PARTIAL, UNCERTAIN, pack
from gateway.process import filters
from gateway.process.window import Window

_PARTIAL = pack(UNCERTAIN, PARTIAL)
# In the place of a quality byte, which is below 192:
_UNHEARD = const(255)  # nothing since boot
_EMPTY = const(254)  # nothing since the last take


class _Group:
    """The streams of one class and period: they share their rounds."""

    def __init__(self, cls, period):
        self.cls = cls
        self.period = period
        self.streams = []  # indexes, ascending by stream id
        self.waiting = False
        self.urgent = False


class _Windows:
    """The points with a window of one period: they close together."""

    def __init__(self, period):
        self.period = period
        self.points = []
        self.opened = -1  # slot; -1 before the first one


def _with_period(windows, period):
    for entry in windows:
        if entry.period == period:
            return entry
    windows.append(_Windows(period))
    return windows[-1]


class Pipeline:
    """`site`: the body of a compiled site ("points" and "streams"); mantissas lie within +-(2 ** 63 - 1)."""

    def __init__(self, site):
        streams = site["streams"]
        self._ids = [stream[0] for stream in streams]
        self._waiting = array("q", [0] * len(streams))
        self._marks = bytearray([_UNHEARD] * len(streams))
        keys = []
        for stream in streams:
            key = (stream[5], stream[6])
            if key not in keys:
                keys.append(key)
        keys.sort()
        self._groups = [_Group(cls, period) for cls, period in keys]
        self._group_of = []
        for index, stream in enumerate(streams):
            group = self._groups[keys.index((stream[5], stream[6]))]
            group.streams.append(index)
            self._group_of.append(group)

        self._uptime_s = 0
        points = site["points"]
        self._latest = array("q", [0] * len(points))
        self._latest_quality = bytearray([_UNHEARD] * len(points))
        self._filters = []
        self._each = []  # per point: streams that get every reading
        self._windows = []  # per point: its window or None
        self._windowed = []  # per point: streams of the window's outputs
        self._periods = []
        for index, (_, _, specs, outputs) in enumerate(points):
            self._filters.append(tuple([filters.build(spec) for spec in specs]))
            self._each.append(tuple([stream for output, stream in outputs if output == "each"]))
            windowed = tuple([stream for output, stream in outputs if output != "each"])
            self._windowed.append(windowed)
            if windowed:
                self._windows.append(Window(tuple([output for output, _ in outputs if output != "each"])))
                _with_period(self._periods, streams[windowed[0]][6]).points.append(index)
            else:
                self._windows.append(None)

    def offer(self, point, mantissa, quality_byte):
        """A reading of the current slot. A filter may find that there is nothing to report."""
        for step in self._filters[point]:
            result = step.apply(mantissa, quality_byte, self._uptime_s)
            if result is None:
                return
            mantissa, quality_byte = result
        first = self._latest_quality[point] == _UNHEARD
        self._latest[point] = mantissa
        self._latest_quality[point] = quality_byte
        for stream in self._each[point]:
            self._emit(stream, mantissa, quality_byte)
        window = self._windows[point]
        if window is not None:
            window.add(mantissa, quality_byte)
            if first:
                self._announce(point, mantissa, quality_byte)

    def close_windows(self, slot, uptime_s):
        """Begin a slot, which is that second of uptime to the filters: end the windows whose time is over (those whose period divides the slot, or passed unseen)."""
        self._uptime_s = uptime_s
        for entry in self._periods:
            period = entry.period
            opened = entry.opened
            if opened < 0:
                entry.opened = slot
            elif slot // period != opened // period:
                # Not whole: the first one after boot, and one in which the clock was set.
                whole = slot == opened + period and not slot % period
                for point in entry.points:
                    self._close(point, whole)
                entry.opened = slot

    def take(self):
        """What the slot has to report: a list of (class, period, urgent, samples), ascending by class and period.

        samples: a list of (stream id, mantissa, quality byte), ascending by stream id. urgent: one of these streams
        reports for the first time since boot.
        """
        taken = []
        for group in self._groups:
            if group.waiting:
                taken.append((group.cls, group.period, group.urgent, self._samples(group)))
                group.waiting = group.urgent = False
        return taken

    def latest(self, point):
        """(mantissa, quality byte) of the point's last reading after its filters; None before the first."""
        quality_byte = self._latest_quality[point]
        return None if quality_byte == _UNHEARD else (self._latest[point], quality_byte)

    def _emit(self, stream, mantissa, quality_byte):
        group = self._group_of[stream]
        group.waiting = True
        if self._marks[stream] == _UNHEARD:
            group.urgent = True
        self._waiting[stream] = mantissa
        self._marks[stream] = quality_byte

    def _announce(self, point, mantissa, quality_byte):
        """The first reading after boot goes out at once: nobody at the cabinet waits for a window to end."""
        if quality_byte >> 6 != BAD:
            quality_byte = _PARTIAL
        outputs = self._windows[point].outputs
        for i, stream in enumerate(self._windowed[point]):
            if outputs[i] != "delta" and self._marks[stream] == _UNHEARD:
                self._emit(stream, mantissa, quality_byte)

    def _close(self, point, whole):
        window = self._windows[point]
        if whole or window.fed:
            results = window.close(whole)
            for i, stream in enumerate(self._windowed[point]):
                mantissa, quality_byte = results[i]
                self._emit(stream, mantissa, quality_byte)

    def _samples(self, group):
        marks = self._marks
        samples = []
        for stream in group.streams:
            quality_byte = marks[stream]
            if quality_byte < _EMPTY:
                samples.append((self._ids[stream], self._waiting[stream], quality_byte))
                marks[stream] = _EMPTY
        return samples
