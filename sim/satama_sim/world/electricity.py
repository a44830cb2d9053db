"""What electricity meters have in common: their counters are the exact integral of the power that they show."""

from collections import deque
from math import isqrt

from .model import Fine, Model
from .signals import PPB, Wander, arcsine, source

MICRO = 10**6
_DEMAND_MIN = 15

PHASE = {
    "voltage": Fine("V", MICRO),
    "current": Fine("A", MICRO),
    "active_power": Fine("W", MICRO),
    "apparent_power": Fine("VA", MICRO),
    "reactive_power": Fine("var", MICRO),
    "power_factor": Fine("/", MICRO),
    "phase_angle": Fine("deg", 1000),
    "energy_import": Fine("J", MICRO),
    "energy_export": Fine("J", MICRO),
    "energy_total": Fine("J", MICRO),
    "reactive_energy_import": Fine("vars", MICRO),
    "reactive_energy_export": Fine("vars", MICRO),
    "reactive_energy_total": Fine("vars", MICRO),
    "thd_voltage": Fine("/", MICRO),
    "thd_current": Fine("/", MICRO),
}
WHOLE = {
    **PHASE,
    "frequency": Fine("Hz", MICRO),
    "power_demand": Fine("W", MICRO),
    "power_demand_max": Fine("W", MICRO),
    "current_n": Fine("A", MICRO),
    "current_sum": Fine("A", MICRO),
    "voltage_avg": Fine("V", MICRO),
    "current_avg": Fine("A", MICRO),
    "voltage_ll_avg": Fine("V", MICRO),
    "thd_voltage_avg": Fine("/", MICRO),
    "thd_current_avg": Fine("/", MICRO),
    "energy_net": Fine("J", MICRO),
}
COUNTERS = ("energy_import", "energy_export", "reactive_energy_import", "reactive_energy_export")


class _Tally:
    """One channel's counters, and what it shows now."""

    __slots__ = ("given", "i", "p", "q", "s", "taken", "u", "var_given", "var_taken")

    def __init__(self, starts: list[int]):
        self.taken, self.given, self.var_taken, self.var_given = starts
        self.u = self.i = self.p = self.q = self.s = 0

    @property
    def power_factor(self) -> int:
        return self.p * MICRO // self.s if self.s else MICRO

    @property
    def angle(self) -> int:
        return arcsine(self.q * PPB // self.s) if self.s else 0


class ElectricityMeter(Model):
    """A meter of one or three phases. Power flows in (positive) or out; in second k the energy grows by the power shown
    at second k. The totals of three phases are those of the algebraic sum. Reactive energy counts the same way.

    A subclass says in `_plan(minute)` what each phase takes: (active, reactive, flicker) in microwatts and microvars.
    """

    phases = 1
    startable = COUNTERS
    _start_kwh = ((0, 0), (0, 0), (0, 0), (0, 0))

    def set_up(self) -> None:
        seed = self.scene.seed
        self._voltages = [Wander(seed, f"{self.id}/u{n}", 228_000_000, 234_500_000, 420) for n in range(self.phases)]
        self._frequency = Wander(seed, "grid/frequency", 49_950_000, 50_050_000, 60)
        self._sum = _Tally([self.start(c, self._default(c)) for c in COUNTERS])
        share = self.phases
        names = ("_l1", "_l2", "_l3") if share > 1 else ("",)
        self._parts = []
        for name in names:
            starts = [self.start(c + name, self.start(c, self._default(c)) // share) for c in COUNTERS]
            self._parts.append(_Tally(starts))
        self._minute = -1
        self._loads: list[tuple[int, int, int]] = []
        self._net = 0  # energy in minus energy out since second 0
        self._minute_ends: deque[int] = deque([0], maxlen=_DEMAND_MIN + 1)
        self.demand = self.demand_max = 0
        self._begin_minute(0)

    def _default(self, counter: str) -> int:
        low, high = self._start_kwh[COUNTERS.index(counter)]
        return source(self.scene.seed, self.id, counter).randrange(low * 3600, high * 3600 + 1) * 1000 * MICRO

    def _plan(self, minute: int) -> list[tuple[int, int, int]]:
        raise TypeError(f"{type(self).__name__} gives no _plan")

    def _begin_minute(self, minute: int) -> None:
        self._minute = minute
        self._loads = self._plan(minute)

    def _powers_at(self, step: int) -> list[int]:
        table, mask = self.ripple.table, self.ripple.MASK
        return [p + table[(step + 331 * n) & mask] * wobble for n, (p, _, wobble) in enumerate(self._loads)]

    def _advance(self, to_step):
        step = self.step
        while step < to_step:
            end = min(to_step, (self._minute + 1) * 60)
            self._count(step, end)
            step = end
            if step % 60 == 0:
                self._end_minute()

    def _count(self, step: int, end: int) -> None:
        table, mask = self.ripple.table, self.ripple.MASK
        total = [0] * (end - step)
        for n, (tally, (base, reactive, wobble)) in enumerate(zip(self._parts, self._loads, strict=True)):
            taken = given = 0
            for index, at in enumerate(range(step + 331 * n, end + 331 * n)):
                power = base + table[at & mask] * wobble
                total[index] += power
                if power >= 0:
                    taken += power
                else:
                    given -= power
            tally.taken += taken
            tally.given += given
            self._count_reactive(tally, reactive * (end - step))
        whole = self._sum
        net, given = sum(total), -sum(p for p in total if p < 0)
        whole.given += given
        whole.taken += net + given
        self._net += net
        self._count_reactive(whole, sum(load[1] for load in self._loads) * (end - step))

    @staticmethod
    def _count_reactive(tally: _Tally, amount: int) -> None:
        if amount >= 0:
            tally.var_taken += amount
        else:
            tally.var_given -= amount

    def _end_minute(self) -> None:
        self._minute_ends.append(self._net)
        span = (len(self._minute_ends) - 1) * 60
        self.demand = (self._minute_ends[-1] - self._minute_ends[0]) // span
        self.demand_max = max(self.demand_max, self.demand)
        self._begin_minute(self._minute + 1)

    def _settle(self):
        step, whole = self.step, self._sum
        whole.p = whole.q = 0
        for n, (tally, power) in enumerate(zip(self._parts, self._powers_at(step), strict=True)):
            reactive = self._loads[n][1]
            tally.u = self._voltages[n].at(step) + self.ripple.at(step, 5 + n) * 350
            tally.p, tally.q = power, reactive
            tally.s = isqrt(power * power + reactive * reactive)
            tally.i = tally.s * MICRO // tally.u
            whole.p += power
            whole.q += reactive
        whole.s = isqrt(whole.p * whole.p + whole.q * whole.q)
        whole.u = sum(t.u for t in self._parts) // self.phases
        whole.i = sum(t.i for t in self._parts)

    def _tally_getters(self, tally: _Tally, suffix: str, channel: int):
        ripple = self.ripple
        return {
            f"voltage{suffix}": lambda: tally.u,
            f"current{suffix}": lambda: tally.i,
            f"active_power{suffix}": lambda: tally.p,
            f"apparent_power{suffix}": lambda: tally.s,
            f"reactive_power{suffix}": lambda: tally.q,
            f"power_factor{suffix}": lambda: tally.power_factor,
            f"phase_angle{suffix}": lambda: tally.angle,
            f"energy_import{suffix}": lambda: tally.taken,
            f"energy_export{suffix}": lambda: tally.given,
            f"energy_total{suffix}": lambda: tally.taken + tally.given,
            f"reactive_energy_import{suffix}": lambda: tally.var_taken,
            f"reactive_energy_export{suffix}": lambda: tally.var_given,
            f"reactive_energy_total{suffix}": lambda: tally.var_taken + tally.var_given,
            f"thd_voltage{suffix}": lambda: 21_000 + ripple.at(self.step // 5, 11 + channel) * 4,
            f"thd_current{suffix}": lambda: 120_000 + ripple.at(self.step // 5, 17 + channel) * 30,
        }

    def getters(self):
        whole = self._sum
        return {
            **self._tally_getters(whole, "", 3),
            "frequency": lambda: self._frequency.at(self.step) + self.ripple.at(self.step, 9) * 3,
            "power_demand": lambda: self.demand,
            "power_demand_max": lambda: self.demand_max,
            "current_n": self._neutral,
            "current_sum": lambda: whole.i,
            "current_avg": lambda: whole.i // self.phases,
            "voltage_avg": lambda: whole.u,
            "voltage_ll_avg": lambda: sum(self._between(n) for n in range(3)) // 3,
            "thd_voltage_avg": lambda: 21_000 + self.ripple.at(self.step // 5, 14) * 3,
            "thd_current_avg": lambda: 120_000 + self.ripple.at(self.step // 5, 20) * 20,
            "energy_net": lambda: whole.taken - whole.given,
        }

    def _neutral(self) -> int:
        if self.phases == 1:
            return self._sum.i
        a, b, c = (tally.i for tally in self._parts)
        return isqrt(a * a + b * b + c * c - a * b - b * c - c * a)

    def _between(self, n: int) -> int:
        """Voltage from phase n to the next, 120 degrees apart."""
        a, b = self._parts[n % self.phases].u, self._parts[(n + 1) % self.phases].u
        return isqrt(a * a + b * b + a * b)
