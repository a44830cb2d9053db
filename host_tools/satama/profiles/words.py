"""How a device is connected and where its values come from, in a few words."""

from ..core.quantities import symbol
from .profile import Point, Profile

_AREAS = {1: "coil", 2: "discrete", 3: "holding", 4: "input", None: "only written"}


def wires(profile: Profile) -> str:
    """How the device is connected."""
    if profile.interface == "modbus":
        return "+".join(way for way, table in (("rtu", profile.serial), ("tcp", profile.tcp)) if table)
    return profile.interface


def place(profile: Profile, point: Point) -> str:
    """Where a value comes from, as short as a technician can compare it with a data sheet."""
    if point.obis:
        return f"{point.obis} in {point.telegram_unit}"
    if profile.interface == "pulse":
        return f"{point.per_pulse} {symbol(point.unit)} per pulse"
    if profile.interface == "analog":
        return "the site gives its span" if point.calibration is None else f"{len(point.calibration)} points"
    counted = f"+{point.address}" if profile.sunspec else str(point.address)  # from the id of the SunSpec model
    where = f"byte {counted}" if profile.stream else f"{_AREAS[point.function]} {counted}"
    kind = f"{point.type}[{point.registers}]" if point.type == "string" else point.type
    parts = [where, kind] + ([point.order] if point.order != "ABCD" else [])
    if point.bits:
        parts.append(f"bits {point.bits[0]}-{sum(point.bits) - 1}")
    if point.scale != 1:
        parts.append(f"x {point.scale:f}")
    if point.scale_register is not None:
        parts.append(f"x 10^[+{point.scale_register}]" if profile.sunspec else f"x 10^[{point.scale_register}]")
    return " ".join(parts)
