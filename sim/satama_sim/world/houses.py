"""The two houses with an electricity meter: a block with lifts and solar panels, and a flat."""

from typing import ClassVar

from .electricity import COUNTERS, MICRO, PHASE, WHOLE, ElectricityMeter
from .model import Fine
from .signals import Wander, source

_STAIR_PERMILLE = (
    420, 400, 390, 390, 400, 450, 600, 820, 800, 720, 700, 720,
    760, 720, 700, 720, 800, 920, 1000, 980, 920, 800, 640, 500,
)  # fmt: skip
_LIGHTS_W = (0, 0, 0, 0, 0, 10, 60, 80, 20, 0, 0, 0, 0, 0, 0, 20, 60, 120, 180, 200, 200, 180, 120, 30)


class ThreePhaseMeter(ElectricityMeter):
    """The main meter of a house with lifts, pumps and solar panels. Options: `base_w` (largest everyday load of all
    phases together) and `pv_peak_w` (panels in full sun)."""

    phases = 3
    _start_kwh = ((9_000, 60_000), (500, 4_000), (900, 5_000), (10, 200))
    fine: ClassVar = {
        **WHOLE,
        **{f"{name}_l{n}": fine for n in (1, 2, 3) for name, fine in PHASE.items()},
        **{f"voltage_{pair}": Fine("V", MICRO) for pair in ("l12", "l23", "l31")},
    }
    aliases: ClassVar = {"voltage_l32": "voltage_l23", "voltage_l21": "voltage_l12", "voltage_l13": "voltage_l31"}
    startable = (*COUNTERS, *(f"{c}_l{n}" for n in (1, 2, 3) for c in COUNTERS))

    def set_up(self, base_w: int = 12_000, pv_peak_w: int = 18_000):
        self._base_w, self._pv_peak_w = base_w, pv_peak_w
        self._share = [Wander(self.scene.seed, f"{self.id}/share{n}", 700, 1300, 900) for n in range(3)]
        self._lift: tuple[int, dict[int, int]] = (-1, {})
        super().set_up()

    def getters(self):
        parts = {}
        for n, tally in enumerate(self._parts):
            parts.update(self._tally_getters(tally, f"_l{n + 1}", n))
        between = {f"voltage_{pair}": (lambda n=n: self._between(n)) for n, pair in enumerate(("l12", "l23", "l31"))}
        return {**super().getters(), **parts, **between}

    def _plan(self, minute):
        step = minute * 60
        weather = self.scene.weather
        sun_mw = weather.at(step).sun * self._pv_peak_w // 1000 // 3  # of one phase, in milliwatts
        everyday = self._base_w * _STAIR_PERMILLE[weather.hour(step)] // 3  # of one phase, in milliwatts
        lift = self._lift_w(minute)
        loads = []
        for n in range(3):
            load = (everyday * self._share[n].at(step) // 1000 + lift * 1000) * 1000
            loads.append((load - sun_mw * 1000, load * (30 + 5 * n) // 100 - load // 8, load // 25_000))
        return loads

    def _lift_w(self, minute: int) -> int:
        """The lift runs in some minutes: watts of each phase."""
        hour = minute // 60
        if self._lift[0] != hour:
            draw = source(self.scene.seed, self.id, "lift", hour)
            often = _STAIR_PERMILLE[self.scene.weather.hour(hour * 3600)] * 20 // 1000
            self._lift = (hour, {draw.randrange(60): draw.randint(600, 2_200) for _ in range(often)})
        return self._lift[1].get(minute % 60, 0)


class FlatMeter(ElectricityMeter):
    """A flat on one phase: fridge, lights, kettle, stove and, some evenings, the sauna."""

    fine: ClassVar = WHOLE
    _start_kwh = ((2_000, 15_000), (0, 0), (100, 900), (0, 3))
    _EVENTS = (  # name, hours, percent chance an hour, watts, minutes
        ("kettle", (6, 7, 8, 14, 15, 18, 20), 70, 2_000, (2, 4)),
        ("stove", (7, 16, 17, 18), 60, 1_600, (10, 35)),
        ("machine", (10, 11, 17, 19), 25, 1_900, (20, 50)),
        ("sauna", (18, 19, 20), 30, 6_000, (30, 45)),
    )

    def set_up(self):
        self._events: tuple[int, list[tuple[int, int, int]]] = (-1, [])
        super().set_up()

    def _plan(self, minute):
        step = minute * 60
        hour = self.scene.weather.hour(step)
        fridge = 95 if minute % 41 < 14 else 2
        events = sum(watts for begin, end, watts in self._this_hour(minute // 60) if begin <= minute % 60 < end)
        load = (45 + fridge + _LIGHTS_W[hour] + events) * MICRO
        reactive = (30 + fridge // 2) * MICRO - load // 50
        return [(load, reactive, load // 60_000)]

    def _this_hour(self, number: int) -> list[tuple[int, int, int]]:
        if self._events[0] != number:
            draw = source(self.scene.seed, self.id, "events", number)
            hour = self.scene.weather.hour(number * 3600)
            events = []
            for _, hours, chance, watts, minutes in self._EVENTS:
                begin, lasts, happens = draw.randrange(60), draw.randint(*minutes), draw.randrange(100) < chance
                if hour in hours and happens:
                    events.append((begin, min(60, begin + lasts), watts))
            self._events = (number, events)
        return self._events[1]
