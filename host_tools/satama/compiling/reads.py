"""From the points of a Modbus device to its requests, laid out for the device."""

from collections.abc import Iterator
from decimal import Decimal

from ..planning.read_plan import plan
from ..planning.timing import Timing
from ..profiles.profile import Point, Profile
from ..profiles.values import BIT_FUNCTIONS, REGISTERS
from ..resolving.resolved import Channel, Resolved
from ..site_file.site import MODBUS_BUSES, Device

READ_FUNCTIONS = (1, 2, 3, 4)


def compile_units(resolved: Resolved) -> list[list]:
    """One row for each Modbus device: [bus, unit, device id, turnaround_ms, timeout_ms, gap_ms, SunSpec model and bases,
    private]."""
    buses = [bus.id for bus in resolved.site.bus]
    rows = []
    for device in modbus_devices(resolved):
        limits, sunspec = resolved.profiles[device.id].limits, resolved.profiles[device.id].sunspec
        rows.append(
            [
                buses.index(device.bus),
                device.unit,
                device.id,
                limits.turnaround_ms,
                device.timeout_ms or limits.timeout_ms,
                limits.gap_ms if device.gap_ms is None else device.gap_ms,
                [sunspec.model, *sunspec.bases] if sunspec else [],
                int(device.id in resolved.private),
            ]
        )
    return rows


def compile_texts(resolved: Resolved) -> list[list]:
    """What identifies a device, to be read once: [unit row, function, address, registers, device id, point, field].

    The field is that of a number, to be shown as a whole one; a text has none. Settings stay unread: nobody asked for them.
    """
    return [
        [row, point.function, point.address, point.registers, device.id, point.name, _number(point)]
        for row, device in enumerate(modbus_devices(resolved))
        for point in resolved.profiles[device.id].points
        if point.kind == "text" and point.function in READ_FUNCTIONS and point.quantity != "setting"
        if device.id not in resolved.pseudonymous  # a serial number is a name
    ]


def compile_probes(resolved: Resolved) -> list[list]:
    """How to see that it is the right device: [unit row, function, address, registers, numbers or text]."""
    probes = []
    for row, device in enumerate(modbus_devices(resolved)):
        identity = resolved.profiles[device.id].identity
        if identity is None:
            continue
        if identity.object is not None:
            probes.append([row, 43, identity.object, 0, identity.contains])
        elif identity.server_id is not None:
            probes.append([row, 17, 0, 0, identity.server_id])
        elif identity.type == "string":
            probes.append([row, identity.function, identity.address, (len(identity.text) + 1) // 2, identity.text])
        else:
            numbers = identity.value if isinstance(identity.value, list) else [identity.value]
            probes.append([row, identity.function, identity.address, REGISTERS[identity.type], numbers])
    return probes


def _number(point: Point) -> list:
    return [] if point.type == "string" else compile_field(0, point, point.address)


def modbus_devices(resolved: Resolved) -> list[Device]:
    """The devices that are asked over Modbus, in the order of the site file, which is that of the unit rows."""
    buses = {bus.id: bus.kind for bus in resolved.site.bus}
    return [device for device in resolved.site.device if buses.get(device.bus) in MODBUS_BUSES]


def compile_reads(row: int, unit: list, timing: Timing, members: list[tuple[int, Channel]]) -> list[list]:
    """The requests for points of one device and period, cheapest on its bus, by function and address.

    `row`: number of the device among the unit rows, `unit` that row; `members`: (number of the point, channel).
    """
    reads = []
    for function in READ_FUNCTIONS:
        mine = [member for member in members if member[1].point.function == function]
        if mine:
            reads += _reads(row, unit, timing, mine)
    return reads


def _reads(row: int, unit: list, timing: Timing, members: list[tuple[int, Channel]]) -> list[list]:
    turnaround_ms, timeout_ms, gap_ms = unit[3:6]
    device, profile, function = members[0][1].device, members[0][1].profile, members[0][1].point.function

    def cost(count: int, turnaround_us: int) -> int:
        return timing.request_us(function, count, turnaround_us, 1000 * gap_ms)

    values = []
    for _, channel in members:
        start, end = extent(channel.point)
        values.append((start, end - start, 1000 * _own(channel.point.turnaround_ms, turnaround_ms)))
    reads = []
    for span in plan(values, most_at_once(device, profile, function), forbidden(profile, function), cost):
        points = [members[at][1].point for at in span.members]
        reads.append(
            [
                row,
                function,
                span.start,
                span.count,
                max(_own(point.turnaround_ms, turnaround_ms) for point in points),
                max(_own(point.timeout_ms, timeout_ms) for point in points),
                [compile_field(members[at][0], members[at][1].point, span.start) for at in span.members],
            ]
        )
    return reads


def _own(of_point: int | None, of_device: int) -> int:
    return of_device if of_point is None else of_point


# --- what may be asked together


def extent(point: Point) -> tuple[int, int]:
    """(first, end) of the registers (or bits) that belong in one read: the value's own, and its scale register's."""
    scale, first, end = point.scale_register, point.address, point.address + point.registers
    return (first, end) if scale is None else (min(first, scale), max(end, scale + 1))


def most_at_once(device: Device, profile: Profile, function: int) -> int:
    """The longest read that a device bears."""
    limits = profile.limits
    return limits.max_bits if function in BIT_FUNCTIONS else min(limits.max_registers, device.max_registers or 125)


def forbidden(profile: Profile, function: int) -> list[tuple[int, int]]:
    """Address ranges that no read may touch: what the profile says, and where holes are illegal, all that it does not name."""
    limits = profile.limits
    ranges = [(r.first, r.last) for r in limits.forbidden if r.function == function]
    if limits.holes == "illegal":
        end = 0
        for first, after in sorted(_named(profile, function)):
            if first > end:
                ranges.append((end, first - 1))
            end = max(end, after)
    return ranges


def _named(profile: Profile, function: int) -> Iterator[tuple[int, int]]:
    for point in profile.points:
        if point.function == function:
            yield point.address, point.address + point.registers
            if point.scale_register is not None:
                yield point.scale_register, point.scale_register + 1


def too_long(channel: Channel) -> str | None:
    """Why the device can never answer for this point; None if it can."""
    if channel.point.function not in READ_FUNCTIONS:
        return None
    start, end = extent(channel.point)
    most = most_at_once(channel.device, channel.profile, channel.point.function)
    if end - start <= most:
        return None
    what = "with its scale register " if end - start > channel.point.registers else ""
    return f"point '{channel.point.name}' {what}spans {end - start} registers, but the device bears {most} in one read"


# --- what is in an answer


def compile_field(at: int, point: Point, start: int) -> list:
    """Where point number `at` lies in an answer that begins at address `start`, and what its bits mean."""
    m, shift = exact_scale(point.scale, point.exponent)
    field = [at, point.address - start, point.type, point.order, m, shift, [*_invalid(point)]]
    if point.scale_register is not None:
        field.append(["scale", point.scale_register - start])
    elif point.bits is not None:
        field.append(["bits", *point.bits])
    elif point.type == "string":
        field.append(["codes", point.registers, [[text, number] for text, number in point.states.items()]])
    return field


def _invalid(point: Point) -> Iterator[int | list[int]]:
    for pattern in point.invalid:
        if pattern != "NaN":
            yield pattern if isinstance(pattern, int) else list(pattern)


def exact_scale(scale: Decimal, exponent: int) -> tuple[int, int]:
    """(m, shift) with mantissa = raw * m * 10**shift."""
    sign, digits, power = scale.normalize().as_tuple()
    m = int("".join(map(str, digits)))
    return -m if sign else m, power - exponent
