"""From the points of a device to its requests, laid out for the device."""

from decimal import Decimal

from .profile import BIT_FUNCTIONS
from .resolve import Channel, Resolved


def compile_reads(resolved: Resolved, members: list[tuple[int, Channel]]) -> list[list]:
    """Requests for points of one device, function and period: neighbours share one, up to the device's limit."""
    reads: list[list] = []
    start = end = 0
    for at, channel in sorted(members, key=lambda member: (member[1].point.address, member[0])):
        device, point, limits = channel.device, channel.point, channel.profile.limits
        most = (
            limits.max_bits
            if point.function in BIT_FUNCTIONS
            else min(limits.max_registers, device.max_registers or 125)
        )
        last = point.address + point.registers
        if not reads or point.address > end or max(last, end) - start > most:
            bus = [bus.id for bus in resolved.site.bus].index(device.bus)
            gap_ms = limits.gap_ms if device.gap_ms is None else device.gap_ms
            start = end = point.address
            reads.append(
                [
                    bus,
                    device.unit,
                    point.function,
                    start,
                    0,
                    limits.turnaround_ms,
                    device.timeout_ms or limits.timeout_ms,
                    gap_ms,
                    [],
                ]
            )
        end = max(end, last)
        m, shift = exact_scale(point.scale, point.exponent)
        invalid = [pattern for pattern in point.invalid if pattern != "NaN"]
        reads[-1][4] = end - start
        reads[-1][8].append([at, point.address - start, point.type, point.word_order, m, shift, invalid])
    return reads


def exact_scale(scale: Decimal, exponent: int) -> tuple[int, int]:
    """(m, shift) with mantissa = raw * m * 10**shift."""
    sign, digits, power = scale.normalize().as_tuple()
    m = int("".join(map(str, digits)))
    return -m if sign else m, power - exponent
