"""A street bin with an ultrasonic sensor in its lid: litter makes it fuller, a crew empties it in the morning."""

from typing import ClassVar

from .model import Fine, Model
from .signals import source

_LITTER_PER_HOUR = (1, 1, 0, 0, 0, 1, 3, 6, 7, 5, 5, 8, 11, 9, 7, 7, 9, 11, 10, 8, 6, 5, 3, 2)
_PIECE_UM = (1_000, 8_000)  # how much higher one piece of litter makes the heap
_ROUND_FROM_S, _ROUND_SPREAD_S = 6 * 3600, 2 * 3600  # when the crew comes by
_WORTH_EMPTYING = 40  # percent
_LID_OPEN_S = 40
_NOISE_UM = 1_500


class StreetBin(Model):
    """Readings: distance to the heap, fill, air temperature in the lid. No distance while the lid stands open.

    Options: `depth_mm` from sensor to floor, `full_mm` from sensor to a full heap.
    """

    fine: ClassVar = {"distance": Fine("m", 10**6), "fill": Fine("/", 10**6), "temperature": Fine("Cel", 1000)}
    aliases: ClassVar = {"distance_fast": "distance", "level": "fill", "fill_level": "fill"}
    by_quantity: ClassVar = {"distance": "distance", "fill": "fill", "fill_level": "fill", "temperature": "temperature"}

    def set_up(self, depth_mm: int = 1_200, full_mm: int = 200) -> None:
        if not 0 < full_mm < depth_mm:
            raise ValueError(f"bin {self.id}: full_mm must lie between 0 and depth_mm")
        self._depth, self._room = depth_mm * 1000, (depth_mm - full_mm) * 1000
        self.heap = self._draw("start").randrange(10, 50) * self._room // 100  # height in micrometres
        self._lid_open_until = 0
        self._hour: int | None = None
        self._litter: list[tuple[int, int]] = []

    def getters(self):
        return {"distance": self._distance, "fill": self._fill, "temperature": self._temperature}

    def _advance(self, to_step):
        step = self.step
        while step < to_step:
            if step // 3600 != self._hour:
                self._hour = step // 3600
                self._litter = self._plan_hour(self._hour)
            hour_end = min(to_step, (self._hour + 1) * 3600)
            while self._litter and self._litter[0][0] <= hour_end:
                at, growth = self._litter.pop(0)
                if growth:
                    self.heap = min(self._room, self.heap + growth)
                elif self.heap * 100 >= self._room * _WORTH_EMPTYING:
                    self.heap = self._room // 100
                    self._lid_open_until = at + _LID_OPEN_S
            step = hour_end

    def _plan_hour(self, hour: int) -> list[tuple[int, int]]:
        """What happens in the hour, by time: (second, growth); growth 0 is the crew passing by."""
        draw, weather = self._draw(hour), self.scene.weather
        start = hour * 3600
        often = _LITTER_PER_HOUR[weather.hour(start)]
        pieces = draw.randint(often // 2, often + often // 2)
        events = [(start + draw.randint(1, 3600), draw.randint(*_PIECE_UM)) for _ in range(pieces)]
        visit = start - weather.second_of_day(start) + self._crew_second(weather.day(start))
        if start < visit <= start + 3600:
            events.append((visit, 0))
        return sorted(events)

    def _crew_second(self, day: int) -> int:
        return _ROUND_FROM_S + self._draw("crew", day).randrange(_ROUND_SPREAD_S)

    def _draw(self, *names):
        return source(self.scene.seed, self.id, *names)

    def _distance(self) -> int | None:
        if self.step < self._lid_open_until:
            return None
        return self._depth - self.heap + self.ripple.at(self.step) * _NOISE_UM // 1000

    def _fill(self) -> int | None:
        return None if self.step < self._lid_open_until else self.heap * 10**6 // self._room

    def _temperature(self) -> int:
        sky = self.scene.weather.at(self.step)
        return sky.temperature + sky.sun // 150 + self.ripple.at(self.step, 1) // 10
