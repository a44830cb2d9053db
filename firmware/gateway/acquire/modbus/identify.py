"""Asking a Modbus device who it is: functions 43/14 (device identification) and 17 (report server id), or a register that tells."""

from micropython import const

from gateway.acquire.modbus import protocol
from gateway.core.quality import EXCEPTION, reason_name

_DEVICE_ID, _SERVER_ID = const(43), const(17)
_REGULAR, _BASIC, _ONE = const(2), const(1), const(4)  # which objects are asked for
_NAMES = ("vendor", "product", "revision", "url", "product_name", "model", "application")
_HEAD = const(6)  # MEI type, code, conformity, more follows, next object, number of objects
_MOST_ANSWERS = const(8)
_TIMEOUT_MS = const(1000)


async def identify(bus, unit):
    """[[name, text], ...]: what the device says of itself, or why it does not."""
    rows = []
    for code in (_REGULAR, _BASIC):
        reason, number = await _objects(bus, unit, code, rows)
        if reason != EXCEPTION:
            break
    if reason:
        rows.append(["device identification", _refusal(reason, number)])
    reason, data = await _ask(bus, unit, protocol.server_id())
    rows.append(["server id", _refusal(reason, data) if reason else _text(data)])
    return rows


async def is_expected(bus, unit, probe):
    """Is it the device that its profile describes? None when it does not say.

    `probe`: [unit row, function, address, count, expected]: the numbers of which one stands in `count` registers, or a text that is
    part of what is said; of function 43 `address` is the object.
    """
    _, function, address, count, expected = probe
    if function == _DEVICE_ID:
        pdu = protocol.device_id(_ONE, address)
    elif function == _SERVER_ID:
        pdu = protocol.server_id()
    else:
        pdu = protocol.read(function, address, count)
    reason, data = await _ask(bus, unit, pdu)
    if reason:
        return None
    if isinstance(expected, str):
        return expected.encode() in data
    return int.from_bytes(data, "big") in expected


async def _objects(bus, unit, code, rows):
    wanted = 0
    for _ in range(_MOST_ANSWERS):
        reason, data = await _ask(bus, unit, protocol.device_id(code, wanted))
        if reason:
            return reason, data
        at = _HEAD
        for _ in range(data[5]):
            name, size = data[at], data[at + 1]
            known = _NAMES[name] if name < len(_NAMES) else "object {}".format(name)
            rows.append([known, _text(data[at + 2 : at + 2 + size])])
            at += 2 + size
        wanted = data[4]
        if not data[3] or not wanted:
            break
    return 0, 0


async def _ask(bus, unit, pdu):
    frame = bus.link.frame(unit.number, pdu)
    return await bus.ask(unit, frame, unit.turnaround_ms, max(unit.timeout_ms, _TIMEOUT_MS))


def _refusal(reason, number):
    return "exception {}".format(number) if reason == EXCEPTION else reason_name(reason)


def _text(data):
    """The printable ASCII at the beginning."""
    text = ""
    for byte in data:
        if not 32 <= byte < 127:
            break
        text += chr(byte)
    return text
