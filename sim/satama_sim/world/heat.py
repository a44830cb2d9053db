"""A heat meter in a house on district heating: warmer supply in the cold, more flow when it is needed."""

from typing import ClassVar

from .model import Fine, Model
from .signals import Wander, source

_MILLIJOULE_PER_LITRE_KELVIN = 4_186_000
_HOT_WATER_W = (
    900, 600, 500, 500, 800, 2_500, 7_000, 9_000, 6_000, 3_500, 3_000, 3_500,
    4_000, 3_000, 2_500, 3_000, 4_500, 7_000, 9_000, 9_500, 8_000, 6_000, 3_500, 1_800,
)  # fmt: skip
_START_J = (200 * 3_600_000_000, 900 * 3_600_000_000)


class HeatMeter(Model):
    """Flow and return temperature, flow, power; energy and volume are the exact sums of power and flow over seconds.

    Option: `watt_per_kelvin`, the heat the house loses per kelvin below 17 Cel outside.
    """

    fine: ClassVar = {
        "t_flow": Fine("Cel", 1000),
        "t_return": Fine("Cel", 1000),
        "t_diff": Fine("K", 1000),
        "flow": Fine("m3/s", 10**9),
        "power": Fine("W", 10**6),
        "power_max": Fine("W", 10**6),
        "energy": Fine("J", 10**6),
        "volume": Fine("m3", 10**9),
    }
    aliases: ClassVar = {
        "t1": "t_flow", "flow_temperature": "t_flow", "temperature_flow": "t_flow", "supply_temperature": "t_flow",
        "t2": "t_return", "return_temperature": "t_return", "temperature_return": "t_return",
        "temperature_difference": "t_diff", "temperature_diff": "t_diff", "delta_t": "t_diff",
        "flow_v1": "flow", "volume_flow": "flow", "heat_power": "power",
        "energy_e1": "energy", "heat_energy": "energy", "volume_v1": "volume",
    }  # fmt: skip
    by_quantity: ClassVar = {"heat_energy": "energy", "heat_power": "power", "volume_flow": "flow", "volume": "volume"}
    startable = ("energy", "volume")

    def set_up(self, watt_per_kelvin: int = 1_400):
        self._watt_per_kelvin = watt_per_kelvin
        draw = source(self.scene.seed, self.id, "start")
        self.energy = self.start("energy", draw.randrange(*_START_J) * 10**6)
        self.volume = self.start("volume", draw.randrange(5_000_000, 20_000_000) * 10**6)
        self.power_max = 0
        self._cooled = Wander(self.scene.seed, f"{self.id}/return", 31_000, 41_000, 1800)
        self._plan(0)

    def getters(self):
        return {
            "t_flow": lambda: self._now[0],
            "t_return": lambda: self._now[0] - self._now[1],
            "t_diff": lambda: self._now[1],
            "flow": lambda: self._now[2],
            "power": lambda: self._now[3],
            "power_max": lambda: self.power_max,
            "energy": lambda: self.energy,
            "volume": lambda: self.volume,
        }

    def _plan(self, minute: int) -> None:
        step = minute * 60
        air = self.scene.weather.at(step).temperature
        watts = _HOT_WATER_W[self.scene.weather.hour(step)] + max(0, 17_000 - air) * self._watt_per_kelvin // 1000
        self._minute = minute
        self._supply = min(115_000, 68_000 + max(0, 5_000 - air) * 12 // 10)
        self._drop = self._supply - self._cooled.at(step)
        self._flow = watts * 10**12 // (_MILLIJOULE_PER_LITRE_KELVIN * self._drop)

    def _at(self, step: int) -> tuple[int, int, int, int]:
        """(supply in 0.001 Cel, drop in 0.001 K, flow in ul/s, power in uW) at a second of the planned minute."""
        flicker = self.ripple.at
        drop = self._drop + flicker(step, 1) // 8
        flow = self._flow + self._flow * flicker(step, 2) // 60_000
        return self._supply + flicker(step) // 10, drop, flow, flow * drop * _MILLIJOULE_PER_LITRE_KELVIN // 10**6

    def _advance(self, to_step):
        for step in range(self.step, to_step):
            if step // 60 != self._minute:
                self._plan(step // 60)
            _, _, flow, power = self._at(step)
            self.energy += power
            self.volume += flow
            if power > self.power_max:
                self.power_max = power

    def _settle(self):
        if self.step // 60 != self._minute:
            self._plan(self.step // 60)
        self._now = self._at(self.step)
