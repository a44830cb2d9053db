"""A planting bed: the sun dries the soil, a valve waters it. Its soil probe, relay board and flow meter are devices."""

import copy
from typing import ClassVar

from .model import AnalogModel, Fine, Model
from .pulses import PulseModel, Segment
from .scene import Scene
from .signals import Wander, source

_PPB = 10**9
_SATURATED, _DRAINS_ABOVE, _BONE_DRY = 450_000_000, 350_000_000, 20_000_000
_DRIES = 100  # ppb a second at night; the sun adds to it
_GAIN = 3  # ppb per microlitre
_TOO_DRY, _REFRESHED = 180_000_000, 280_000_000  # water whenever drier than the first, up to the second
_MORNING_HOUR, _MORNING_UNTIL = 5, 380_000_000  # the daily watering
_LONGEST_S = 20 * 60
_FLOW_UL_S = (31_000, 35_000)


class PlantingBed:
    """Soil moisture (volume of water by volume of soil, in ppb), the valve and the water that went through it.

    The valve follows a simple controller until somebody writes its relay; from then on only the relay moves it, at the
    next full second.
    """

    def __init__(self, scene: Scene, name: str):
        self._scene = scene
        self.name = name
        self.step = 0
        self.moisture = source(scene.seed, name, "start").randrange(200_000_000, 290_000_000)
        self.valve = False
        self.volume = 0  # microlitres since the start
        self.by_hand = False
        self._orders: list[tuple[int, bool]] = []
        self._opened_at = 0
        self._target = 0
        self._pressure = Wander(scene.seed, f"{name}/pressure", *_FLOW_UL_S, 6 * 3600)
        self._segments: list[Segment] = []
        self._drift = 0  # ppb a second
        self.flow = 0  # microlitres a second
        self._begin_second()

    def catch_up(self) -> None:
        if self.step < self._scene.clock.step:
            self._advance(self._scene.clock.step)

    def order(self, is_open: bool) -> None:
        """Opens or closes the valve by its relay, from the next second on."""
        self.catch_up()
        self.by_hand = True
        self._orders.append((self.step + 1, is_open))

    def ordered(self) -> bool:
        """What the relay stands at: the last order, carried out or not."""
        return self._orders[-1][1] if self._orders else self.valve

    def segments(self, to_step: int) -> list[Segment]:
        self.catch_up()
        if to_step <= self.step:
            return self._segments
        ghost = copy.copy(self)  # the future may still be changed, so only a copy lives it
        ghost._segments, ghost._orders = list(self._segments), list(self._orders)
        ghost._pressure = copy.copy(self._pressure)
        ghost._advance(to_step)
        return ghost._segments

    def _advance(self, to_step: int) -> None:
        while self.step < to_step:
            end = min(to_step, (self.step // 60 + 1) * 60)
            if self._orders:
                end = min(end, self._orders[0][0])
            seconds = end - self.step
            if self.flow:
                self._record_flow(end)
                self.volume += self.flow * seconds
            self.moisture = min(_SATURATED, max(_BONE_DRY, self.moisture + self._drift * seconds))
            self.step = end
            self._begin_second()

    def _begin_second(self) -> None:
        """Turns the valve if it is time to, and sets the rates that hold until the next minute or order."""
        ordered = bool(self._orders) and self._orders[0][0] <= self.step
        while self._orders and self._orders[0][0] <= self.step:
            self.valve = self._orders.pop(0)[1]
        if self.step % 60 and not ordered:
            return
        sky = self._scene.weather.at(self.step)
        if not self.by_hand:
            self._control()
        self.flow = self._pressure.at(self.step // 3600 * 3600) if self.valve else 0
        self._drift = self.flow * _GAIN - _DRIES - sky.sun // 800 - max(0, sky.temperature) // 100
        if self.moisture > _DRAINS_ABOVE:
            self._drift -= (self.moisture - _DRAINS_ABOVE) // 20_000

    def _control(self) -> None:
        if self.valve:
            self.valve = self.moisture < self._target and self.step - self._opened_at < _LONGEST_S
            return
        morning = self._scene.weather.second_of_day(self.step) // 60 == _MORNING_HOUR * 60
        if self.moisture < _TOO_DRY or (morning and self.moisture < _MORNING_UNTIL):
            self.valve, self._opened_at = True, self.step
            self._target = _MORNING_UNTIL if morning else _REFRESHED

    def _record_flow(self, end: int) -> None:
        last = self._segments[-1] if self._segments else None
        if last and last.end == self.step and last.rate == self.flow:
            self._segments[-1] = last._replace(end=end)
        else:
            self._segments.append(Segment(self.step, end, self.flow, self.volume))


def _bed(scene: Scene, name: str) -> PlantingBed:
    if name not in scene.beds:
        scene.beds[name] = PlantingBed(scene, name)
    return scene.beds[name]


def _soil_temperature(scene: Scene, step: int) -> int:
    """In 0.001 Cel: the air of the last hours, damped."""
    return sum(scene.weather.at(step // 60 * 60 - hours * 3600).temperature for hours in (2, 5, 8)) // 3


class _Soil:
    """What both kinds of soil probe read of their bed."""

    fine: ClassVar = {"moisture": Fine("/", _PPB), "temperature": Fine("Cel", 1000)}
    aliases: ClassVar = {"soil_moisture": "moisture", "soil_temperature": "temperature"}
    by_quantity: ClassVar = {"soil_moisture": "moisture", "soil_temperature": "temperature"}

    def _plant(self, bed: str | None) -> None:
        self.bed = _bed(self.scene, bed or self.id)

    def getters(self):
        return {"moisture": self._moisture, "temperature": lambda: _soil_temperature(self.scene, self.clock.step)}

    def _moisture(self) -> int:
        self.bed.catch_up()
        return self.bed.moisture


class SoilProbe(_Soil, Model):
    """A digital soil probe. Option: `bed`, the name of the bed it stands in (its own id by default)."""

    def set_up(self, bed=None):
        self._plant(bed)


class AnalogSoilProbe(_Soil, AnalogModel):
    """A capacitive probe: its voltage falls as the soil gets wetter. Options: `bed`, `calibration`."""

    def set_up(self, bed=None, calibration=None):
        super().set_up(calibration)
        self._plant(bed)


class RelayBoard(Model):
    """Relays by coil. Option: `valves`, relay point -> name of the bed whose valve it turns (none by default)."""

    def set_up(self, valves: dict[str, str] | None = None):
        self._contacts = {point.name: 0 for point in self.points if point.type == "bool"}
        self.valves = {self.point(relay).name: _bed(self.scene, bed) for relay, bed in (valves or {}).items()}

    def ratio(self, name):
        if name in self.pins or name not in self._contacts:
            return super().ratio(name)
        if name in self.valves:
            self.valves[name].catch_up()
            return int(self.valves[name].ordered()), 1
        return self._contacts[name], 1

    def write(self, name, value):
        if name not in self._contacts:
            return False
        if name in self.valves:
            self.valves[name].order(bool(value))
        self._contacts[name] = int(bool(value))
        self.clock.version += 1
        return True


class FlowMeter(PulseModel):
    """A turbine behind the bed's valve. Options: `bed`, `per_pulse`."""

    fine: ClassVar = {"volume": Fine("m3", _PPB), "flow": Fine("m3/s", _PPB)}
    by_quantity: ClassVar = {"volume": "volume", "volume_flow": "flow", "flow": "flow"}

    def set_up(self, bed=None, per_pulse=None):
        super().set_up(per_pulse)
        self.bed = _bed(self.scene, bed or self.id)

    def getters(self):
        return {"volume": self._volume, "flow": self._flow}

    def segments(self, to_step):
        return self.bed.segments(to_step)

    def _volume(self):
        self.bed.catch_up()
        return self.bed.volume

    def _flow(self):
        self.bed.catch_up()
        return self.bed.flow
