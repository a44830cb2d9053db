"""The world around one cabinet: one clock, one weather, one model for each device."""

from collections.abc import Iterable
from fractions import Fraction

from .model import Exact, Model
from .scene import Scene
from .weather import Weather

STEP_US = 1_000_000


class World:
    """Moves in steps of one second from `start_unix_s` on; the same seed gives the same world, however it is asked.

    Times are microseconds since the start. Values change on full seconds only (as meters refresh their registers), and
    only when somebody asks does a model work out what happened meanwhile.
    """

    def __init__(self, seed: int, start_unix_s: int):
        self.seed, self.start_unix_s = seed, start_unix_s
        self.scene = Scene(seed, Weather(seed, start_unix_s))
        self._models: dict[str, Model] = {}

    @property
    def step(self) -> int:
        """Seconds since the start."""
        return self.scene.clock.step

    @property
    def version(self) -> int:
        """Changes whenever any value may have changed: cache what you derive from values under it."""
        return self.scene.clock.version

    @property
    def weather(self) -> Weather:
        return self.scene.weather

    @property
    def device_ids(self) -> list[str]:
        return list(self._models)

    def add(self, model: Model) -> None:
        if model.id in self._models:
            raise ValueError(f"the world already has a device {model.id!r}")
        self._models[model.id] = model

    def advance(self, now_us: int) -> None:
        """Lets time pass up to `now_us`. A moment already past changes nothing."""
        clock, step = self.scene.clock, now_us // STEP_US
        if step > clock.step:
            clock.step = step
            clock.version += 1

    def device(self, device_id: str) -> Model:
        """The model of a device; KeyError that names the choices."""
        if device_id not in self._models:
            raise KeyError(f"no device {device_id!r} in this world; there are: {', '.join(self._models)}")
        return self._models[device_id]

    def truth(self, device_id: str, point: str) -> Fraction | None:
        """What the device measures now, exactly, in the point's unit; None: no value. `set` and `hold` count."""
        return self.device(device_id).value(point)

    def set(self, device_id: str, point: str, value: Exact | None) -> None:
        """Makes a device show `value` (in the point's unit; None: no value) until `release`; the model goes on."""
        if isinstance(value, float):
            raise TypeError(f"{device_id}/{point}: give an int, Decimal, Fraction or text; a float is not exact")
        self.device(device_id).pin(point, None if value is None else Fraction(value))
        self.scene.clock.version += 1

    def hold(self, device_id: str, points: str | Iterable[str]) -> None:
        """Freezes points at what they show now, as a stuck sensor does, until `release`."""
        for point in [points] if isinstance(points, str) else points:
            self.device(device_id).pin(point, self.truth(device_id, point))
        self.scene.clock.version += 1

    def release(self, device_id: str, point: str) -> None:
        """Ends `set` and `hold`."""
        self.device(device_id).unpin(point)
        self.scene.clock.version += 1
