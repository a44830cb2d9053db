"""The base of all device models: readings in fine integer units, offered as exact rationals in a point's own unit."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

from . import generic, units
from .exact import round_half_even
from .scene import Scene
from .signals import Ripple

Exact = int | str | Decimal | Fraction
ADC_LIMIT_UV = 3_300_000
NOISE_UV = 1_500


class Fine(NamedTuple):
    """A reading's grid: `per_unit` fine steps make one `base` unit."""

    base: str
    per_unit: int


class Model:
    """One simulated device.

    A subclass names its readings in `fine` (reading -> grid) and gives a getter for each in `getters()`. Its state
    moves on in `_advance(to_step)`, and `_settle()` works out what the registers show at the second now reached. Points
    of the profile that the subclass does not know wander or count by themselves (see `generic`).
    """

    fine: ClassVar[dict[str, Fine]] = {}
    aliases: ClassVar[dict[str, str]] = {}  # other names profiles use -> reading
    by_quantity: ClassVar[dict[str, str]] = {}  # quantity -> reading, for points whose name says nothing
    startable: tuple[str, ...] = ()  # readings whose start value may be given

    def __init__(
        self, scene: Scene, device_id: str, points: list, initial: Mapping[str, Exact] | None = None, **options: Any
    ):
        self.scene, self.id, self.points = scene, device_id, list(points)
        self.clock = scene.clock
        self.ripple = Ripple(scene.seed, device_id)
        self.step = 0
        self.pins: dict[str, Fraction | None] = {}
        self._points = {point.name: point for point in self.points}
        self._readings = self._match()
        self._initial = self._check_initial(initial or {})
        self.set_up(**options)
        self._bound = self._bind()
        self._settle()

    # What subclasses give

    def set_up(self) -> None:
        """Makes the state at second 0."""

    def getters(self) -> dict[str, Callable[[], int | None]]:
        """reading -> function that returns its value now, in fine steps."""
        return {}

    def _advance(self, to_step: int) -> None:
        """Moves the state from `self.step` to `to_step`."""

    def _settle(self) -> None:
        """Works out what the device shows at `self.step`."""

    # What others call

    def catch_up(self) -> None:
        """Brings the model to the world's current second."""
        if self.step < self.clock.step:
            self._advance(self.clock.step)
            self.step = self.clock.step
            self._settle()

    def ratio(self, name: str) -> tuple[int, int] | None:
        """The value now as (numerator, denominator > 0), not in lowest terms; None when the device has none."""
        if self.step < self.clock.step:
            self.catch_up()
        if name in self.pins:
            pinned = self.pins[name]
            return None if pinned is None else (pinned.numerator, pinned.denominator)
        get, factor, denominator = self._bound[name]
        fine = get()
        return None if fine is None else (fine * factor, denominator)

    def value(self, name: str) -> Fraction | None:
        """The exact physical value of a point in its own unit at the world's current second; None: no value now."""
        self.point(name)
        ratio = self.ratio(name)
        return None if ratio is None else Fraction(*ratio)

    def point(self, name: str) -> Any:
        """The profile's point of that name; KeyError that names the choices."""
        if name not in self._points:
            raise KeyError(f"device {self.id} has no point {name!r}; it has: {', '.join(self._points)}")
        return self._points[name]

    def write(self, name: str, value: Fraction) -> bool:
        """A register was written. True when the model takes the value over and shows it from now on."""
        return False

    def pin(self, name: str, value: Fraction | None) -> None:
        """Shows `value` (None: no value) until `unpin`; the model underneath goes on."""
        self.point(name)
        self.catch_up()
        self.pins[name] = value

    def unpin(self, name: str) -> None:
        self.pins.pop(name, None)

    def microvolts(self) -> int:
        """What an analog input sees now, in microvolts."""
        raise TypeError(f"device {self.id} has no analog output")

    def pulse_times(self, from_us: int, to_us: int) -> list[int]:
        """Times of the pulses with from_us < t <= to_us."""
        raise TypeError(f"device {self.id} has no pulse output")

    # Inside

    def start(self, reading: str, default: int) -> int:
        """The start value of a counter in fine steps: the configured one or `default`."""
        return self._initial.get(reading, default)

    def _match(self) -> dict[str, str]:
        """point name -> reading: by name or alias; else by quantity, where no other point took that reading."""
        matched: dict[str, str] = {}

        def fits(point, reading: str | None) -> bool:
            return reading in self.fine and units.factor(self.fine[reading].base, point.unit) is not None

        for point in self.points:
            for reading in (point.name, self.aliases.get(point.name)):
                if point.name not in matched and fits(point, reading):
                    matched[point.name] = reading
        for point in self.points:
            reading = self.by_quantity.get(point.quantity)
            if point.name not in matched and reading not in matched.values() and fits(point, reading):
                matched[point.name] = reading
        return matched

    def _check_initial(self, initial: Mapping[str, Exact]) -> dict[str, int]:
        result = {}
        for name, value in initial.items():
            point = self.point(name)
            reading = self._readings.get(name)
            if reading is None and point.kind == "counter":
                result[name] = round_half_even(Fraction(value) * generic.PER_UNIT)
            elif reading in self.startable:
                base, per_unit = self.fine[reading]
                result[reading] = round_half_even(Fraction(value) * units.factor(base, point.unit) * per_unit)
            else:
                allowed = [p.name for p in self.points if self._readings.get(p.name, p.name) in self.startable]
                raise ValueError(f"device {self.id}: {name} has no start value; those that have: {', '.join(allowed)}")
        return result

    def _bind(self) -> dict[str, tuple[Callable[[], int | None], int, int]]:
        getters = self.getters()
        bound = {}
        for point in self.points:
            reading = self._readings.get(point.name)
            if reading is None:
                get, per_unit = generic.reading(self.scene, self.id, point, self._initial.get(point.name))
                bound[point.name] = (get, 1, per_unit)
                continue
            base, per_unit = self.fine[reading]
            factor = 1 / (units.factor(base, point.unit) * per_unit)
            bound[point.name] = (getters[reading], factor.numerator, factor.denominator)
        return bound


class AnalogModel(Model):
    """A device with one analog output, described by a line through (microvolts, value) points, straight between them.

    The value of its point is what the line makes of the microvolts now, so a test can expect exactly that.
    """

    def set_up(self, calibration: list | None = None) -> None:
        self._curve_point = next((p for p in self.points if calibration or getattr(p, "calibration", None)), None)
        if self._curve_point is None:
            raise ValueError(f"device {self.id}: an analog device needs a point with a calibration")
        table = calibration or self._curve_point.calibration
        self._line = sorted((Fraction(uv), Fraction(value)) for uv, value in table)
        self._inverse = sorted((value, uv) for uv, value in self._line)

    def microvolts(self) -> int:
        self.catch_up()
        name = self._curve_point.name
        if name in self.pins:
            pinned = self.pins[name]
            return 0 if pinned is None else self._to_microvolts(pinned)
        noise = self.ripple.at(self.step) * NOISE_UV // 1000
        ratio = super().ratio(name)
        return 0 if ratio is None else self._to_microvolts(Fraction(*ratio), noise)

    def ratio(self, name: str) -> tuple[int, int] | None:
        if name != self._curve_point.name:
            return super().ratio(name)
        shown = _on_line(self._line, Fraction(self.microvolts()))
        return shown.numerator, shown.denominator

    def _to_microvolts(self, value: Fraction, noise: int = 0) -> int:
        exact = round_half_even(_on_line(self._inverse, value))
        return min(ADC_LIMIT_UV, max(0, exact + noise))


def _on_line(points: list[tuple[Fraction, Fraction]], x: Fraction) -> Fraction:
    """The y at x on the line through the points (ascending x), beyond its ends as at its ends."""
    at = next((i for i in range(1, len(points) - 1) if x < points[i][0]), len(points) - 1)
    (x0, y0), (x1, y1) = points[at - 1], points[at]
    return y0 + (x - x0) * (y1 - y0) / (x1 - x0)
