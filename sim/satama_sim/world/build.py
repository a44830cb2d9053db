"""From a compiled site to its world: which model stands for which device."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .bed import AnalogSoilProbe, FlowMeter, RelayBoard, SoilProbe
from .heat import HeatMeter
from .houses import FlatMeter, ThreePhaseMeter
from .model import AnalogModel, Model
from .street_bin import StreetBin
from .water import PulseWaterMeter, SteadyPulses, WaterMeter
from .world import World

REFERENCE_UV = 2_200_000  # supply of ratiometric sensors, behind a divider
_LOOP_UA = (4000, 20000)
_BY_KIND = {"heat_meter": HeatMeter, "water_meter": WaterMeter, "relay_board": RelayBoard, "relay": RelayBoard}
_PLANTED = (SoilProbe, AnalogSoilProbe)


def build_world(
    compiled: Any, seed: int, start_unix_s: int, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> World:
    """The world of a compiled site.

    `overrides` gives options of models by device id, among them for every model `initial`, start values of counters in
    the point's unit: {"main-meter": {"initial": {"energy_import": 16_777_217}, "pv_peak_w": 0}}. Unless options say
    otherwise, the n-th soil probe of the site stands in a bed of its own, watered through the n-th coil of the relay
    boards and measured by the n-th flow meter. Errors: ValueError, KeyError for an override that does not fit.
    """
    world = World(seed, start_unix_s)
    overrides = dict(overrides or {})
    known = [device.id for device in compiled.site.devices]
    for device_id in overrides:
        if device_id not in known:
            raise KeyError(f"override for {device_id!r}, no device of this site; there are: {', '.join(known)}")
    chosen = [(d, compiled.profiles[d.id], choose_model(compiled.profiles[d.id])) for d in compiled.site.devices]
    probes = [device.id for device, _, model in chosen if model in _PLANTED]
    beds = iter([overrides.get(probe, {}).get("bed", probe) for probe in probes])
    meters = iter(probes)
    for device, profile, model in chosen:
        options = {**_from_site(device, profile), **overrides.get(device.id, {})}
        if model is RelayBoard and "valves" not in options:
            coils = [point.name for point in profile.points if point.type == "bool"]
            options["valves"] = dict(zip(coils, beds, strict=False))
        if model is FlowMeter and "bed" not in options:
            probe = next(meters, None)
            options["bed"] = overrides.get(probe, {}).get("bed", probe)
        try:
            world.add(model(world.scene, device.id, profile.points, **options))
        except TypeError as error:
            raise ValueError(f"device {device.id} ({model.__name__}) does not know an option: {error}") from error
    return world


def choose_model(profile: Any) -> type[Model]:
    """The model for a device type, from its interface, kind and quantities; the plain Model for anything unknown."""
    quantities = [point.quantity for point in profile.points]
    names = [point.name for point in profile.points]
    if profile.interface == "pulse":
        if "volume" not in quantities:
            return SteadyPulses
        return FlowMeter if "flow" in profile.kind else PulseWaterMeter
    if profile.interface == "analog":
        return AnalogSoilProbe if "soil_moisture" in quantities else AnalogModel
    if profile.kind == "electricity_meter":
        return ThreePhaseMeter if any("_l2" in name for name in names) else FlatMeter
    if profile.kind in _BY_KIND:
        return _BY_KIND[profile.kind]
    if "soil_moisture" in quantities:
        return SoilProbe
    if "distance" in quantities or "fill" in quantities:
        return StreetBin
    return Model


def _from_site(device: Any, profile: Any) -> dict[str, Any]:
    """What the site file says about one installed device: its calibration, its span, its pulse value."""
    options = {}
    for point in (getattr(device, "point", None) or {}).values():
        for key in ("calibration", "per_pulse", "span"):
            if getattr(point, key, None) is not None:
                options[key] = getattr(point, key)
    analog, span = getattr(profile, "analog", None), options.pop("span", (4, 20))
    if analog is None:
        return options
    if analog.loop_ohm is not None and "calibration" not in options:
        options["calibration"] = [(ua * analog.loop_ohm, value) for ua, value in zip(_LOOP_UA, span, strict=True)]
    elif analog.ratiometric:
        table = options.get("calibration") or profile.points[0].calibration
        options["calibration"] = [(Fraction(x * REFERENCE_UV, 1_000_000), value) for x, value in table]
    return options
