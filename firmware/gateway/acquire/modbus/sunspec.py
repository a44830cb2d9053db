"""Where a SunSpec model lies in a device: the walk along its models (SunSpec Device Information Model Specification, section 6).

At one of the well-known bases the registers hold "SunS"; behind it stand the models, each with its id and its length, up to the
id 0xFFFF. A profile's addresses count from the id of its model.
"""

from micropython import const

from gateway.acquire.modbus import protocol
from gateway.core.quality import EXCEPTION, INVALID

_HOLDING = const(3)
_END = const(0xFFFF)
_MOST_MODELS = const(40)


async def find(bus, unit, turnaround_ms, timeout_ms):
    """Set `unit.base` to the address of the model that `unit.sunspec` ([model, base, ...]) names: 0, or the reason why not."""
    model = unit.sunspec[0]
    for base in unit.sunspec[1:]:
        reason, head = await _pair(bus, unit, base, turnaround_ms, timeout_ms)
        if reason == EXCEPTION:
            continue
        if reason:
            return reason
        if head != b"SunS":
            continue
        at = base + 2
        for _ in range(_MOST_MODELS):
            reason, head = await _pair(bus, unit, at, turnaround_ms, timeout_ms)
            if reason:
                return reason
            number = head[0] << 8 | head[1]
            if number == model:
                unit.base = at
                return 0
            at += 2 + (head[2] << 8 | head[3])
            if number == _END or at > 0xFFF0:
                break
    return INVALID


async def _pair(bus, unit, address, turnaround_ms, timeout_ms):
    """(0, the four bytes of two registers), or (reason, number)."""
    frame = bus.link.frame(unit.number, protocol.read(_HOLDING, address, 2))
    reason, data = await bus.ask(unit, frame, turnaround_ms, timeout_ms)
    return reason, data[:4] if reason == 0 else data
