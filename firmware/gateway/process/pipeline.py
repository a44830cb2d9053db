"""From the readings of a slot to the samples of its rounds: privacy, filters, windows, derived quantities.

A slot is an integer second. Per slot the owner calls begin, then offer for every reading, then finish.
"""

from array import array

from micropython import const

from gateway.core.errors import require
from gateway.core.exact import LIMIT, whole
from gateway.core.quality import BAD, OUT_OF_RANGE, PARTIAL, UNCERTAIN, pack
from gateway.process.rounds import Rounds
from gateway.process.window import SUMS, Window

_PARTIAL = pack(UNCERTAIN, PARTIAL)
_OUT = pack(BAD, OUT_OF_RANGE)
_UNHEARD = const(255)  # in the place of a quality byte, which is below 192: nothing since boot


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
    """`site`: the body of a compiled site ("points", "derived", "streams"); mantissas lie within +-(2 ** 63 - 1).

    `counters` keeps what the counters of the site know (process.counters, None without any); report(event, point, about) is told what
    happened.
    """

    def __init__(self, site, counters, report):
        self._counters = counters
        self._report = report
        self._uptime_s = 0
        points = site["points"]
        self._rounds = Rounds(site["streams"])
        self._latest = array("q", bytearray(8 * len(points)))
        self._latest_quality = bytearray([_UNHEARD] * len(points))
        self._fresh = bytearray(len(points))  # 1: has a value of this slot
        # Nearly every point begins with a filter of the kind "range" (process.filters.checks): its bounds are held here.
        self._low = array("q", bytearray(8 * len(points)))
        self._high = array("q", bytearray(8 * len(points)))
        self._chains = []
        self._each = []  # per point: the stream that gets every reading, or -1
        self._windows = []  # per point: its window or None
        self._windowed = []  # per point: streams of the window's outputs
        self._periods = []
        self._exceptions = {}  # stream -> its report.ByException
        self._reducers = {}  # point -> its privacy.Reducer
        self._hidden = []  # points that nobody may look at
        for index, row in enumerate(points):
            self._add_point(index, row)
        self.derivations = []
        if site["derived"]:
            from gateway.process import derived

            self.derivations = [derived.build(spec, report) for spec in site["derived"]]

    def _add_point(self, index, row):
        """row: [name, decimal exponent, specs of the chain, [[output, stream], ...]], and a dict of options where it has some."""
        outputs = row[3]
        options = row[4] if len(row) > 4 else {}
        specs = row[2]
        self._low[index], self._high[index] = -LIMIT, LIMIT
        if specs and specs[0][0] == "range":
            _, low, high = specs[0]
            require(whole(low) and whole(high) and low <= high)
            self._low[index], self._high[index] = low, high
            specs = specs[1:]
        self._chains.append(tuple([self._step(spec, index, row) for spec in specs]))
        each = [stream for output, stream in outputs if output == "each"]
        require(len(each) < 2)
        self._each.append(each[0] if each else -1)
        windowed = tuple([stream for output, stream in outputs if output != "each"])
        self._windowed.append(windowed)
        if windowed:
            kinds = tuple([output for output, _ in outputs if output != "each"])
            self._windows.append(Window(kinds, options.get("most", 0)))
            _with_period(self._periods, self._rounds.period(windowed[0])).points.append(index)
        else:
            self._windows.append(None)
        if "report" in options:
            from gateway.process.report import ByException

            for _, stream in outputs:
                self._exceptions[stream] = ByException(*options["report"])
        if "private" in options:
            from gateway.process.privacy import Reducer

            floor_s, output, hidden = options["private"]
            self._reducers[index] = Reducer(floor_s, output)
            if hidden:
                self._hidden.append(index)

    def _step(self, spec, index, row):
        from gateway.process import filters

        step = filters.build(spec, index, self._report)
        if spec[0] == "counter":
            self._counters.adopt(step, row[0], row[1])
        return step

    def schemas(self):
        """Ids of the schemas of its rounds, as 8 hex digits."""
        return ["{:08x}".format(schema.id) for schema in self._rounds.schemas()]

    # --- a slot

    def begin(self, slot, uptime_s):
        """Begin a slot, which is that second of uptime to the filters: end the windows whose time is over (those whose period divides
        the slot, or passed unseen)."""
        self._uptime_s = uptime_s
        for point in range(len(self._fresh)):
            self._fresh[point] = 0
        for point in sorted(self._reducers):
            reduced = self._reducers[point].close(slot, uptime_s)
            if reduced is not None:
                self._accept(point, *reduced)
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

    def offer(self, point, mantissa, quality_byte):
        """A reading of the current slot."""
        if point in self._reducers:
            self._reducers[point].add(mantissa, quality_byte, self._uptime_s)
        else:
            self._accept(point, mantissa, quality_byte)

    def finish(self, slot, synced):
        """Derive what follows from the readings of the slot, and take what it has to report: see Rounds.take."""
        for derivation in self.derivations:
            fresh = tuple([self._fresh[point] == 1 for point in derivation.sources])
            if any(fresh):
                readings = [self._reading(point) for point in derivation.sources]
                results = derivation.derive(readings, fresh, self._uptime_s, slot, synced)
                for at, result in enumerate(results):
                    if result is not None:
                        self._accept(derivation.outputs[at], *result)
        return self._rounds.take()

    def so_far(self):
        """Take what a slot that is not finished has to report by now, as finish() does: the rest makes another round of the same slot."""
        return self._rounds.take()

    def latest(self, point):
        """(mantissa, quality byte) of the point's last reading after its filters; None before the first, and for one that is hidden."""
        return None if point in self._hidden else self._reading(point)

    def hidden(self, point):
        """Its readings are nobody's business: they only go into sums."""
        return point in self._hidden

    # --- a reading

    def _reading(self, point):
        quality_byte = self._latest_quality[point]
        return None if quality_byte == _UNHEARD else (self._latest[point], quality_byte)

    def _accept(self, point, mantissa, quality_byte):
        """Through the filters, which may find that there is nothing to report; then to the streams and the window."""
        if quality_byte >> 6 != BAD and not self._low[point] <= mantissa <= self._high[point]:
            quality_byte = _OUT
        for step in self._chains[point]:
            result = step.apply(mantissa, quality_byte, self._uptime_s)
            if result is None:
                return
            mantissa, quality_byte = result
        first = self._latest_quality[point] == _UNHEARD
        self._latest[point] = mantissa
        self._latest_quality[point] = quality_byte
        self._fresh[point] = 1
        if self._each[point] >= 0:
            self._emit(self._each[point], mantissa, quality_byte)
        window = self._windows[point]
        if window is not None:
            window.add(mantissa, quality_byte, self._uptime_s)
            if first:
                self._announce(point, mantissa, quality_byte)

    def _announce(self, point, mantissa, quality_byte):
        """The first reading after boot goes out at once: nobody at the cabinet waits for a window to end."""
        if quality_byte >> 6 != BAD:
            quality_byte = _PARTIAL
        outputs = self._windows[point].outputs
        for i, stream in enumerate(self._windowed[point]):
            if outputs[i] not in SUMS and self._rounds.unheard(stream):
                self._emit(stream, mantissa, quality_byte)

    def _close(self, point, whole):
        window = self._windows[point]
        if whole or window.fed:
            results = window.close(whole, self._uptime_s)
            for i, stream in enumerate(self._windowed[point]):
                self._emit(stream, *results[i])

    def _emit(self, stream, mantissa, quality_byte):
        exception = self._exceptions.get(stream)
        if exception is None or exception.due(mantissa, quality_byte, self._uptime_s):
            self._rounds.emit(stream, mantissa, quality_byte)
