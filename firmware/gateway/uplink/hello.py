"""What is said first on a connection: the births of the gateway and its devices, its state. `birth`: a birth.Birth.

Wanted at a connect only, and let go of afterwards.
"""

import json

from gateway.core.short_name import short
from gateway.core.schema import CLASS_NAMES


def state(birth, online):
    """The payload of `state`."""
    return json.dumps(
        {
            "online": online,
            "ep": birth.epoch,
            "schema": birth.site["schema"],
            "config": birth.site["config"],
            "version": birth.version,
        }
    ).encode()


def messages(birth):
    """Yield (topic, pieces) of the births and of the state behind them."""
    yield birth.topic("birth"), lambda: _gateway(birth)
    here = []
    for name, profile, _ in birth.site["devices"]:
        here.append(name)
        yield _device(birth, name, {"profile": profile})
    for row in birth.site["retired"]:  # device by device; a backlog may still speak of those that are gone
        name = row[1].partition("/")[0]
        if name not in here:
            here.append(name)
            yield _device(birth, name, {"retired": True})
    yield birth.topic("state"), lambda: (state(birth, True),)


def _gateway(birth):
    devices = [row[0] for row in birth.site["devices"]]
    return (json.dumps({"ep": birth.epoch, "bn": birth.base_name, "devices": devices}).encode(),)


def _device(birth, name, about):
    about["device"] = name
    about["texts"] = {point: text for device, point, text in birth.texts if device == name}
    return birth.topic("birth/" + name), lambda: _pieces(birth, name, about)


def _pieces(birth, name, about):
    """Yield the JSON of one device, stream by stream."""
    yield json.dumps(about)[:-1].encode() + b', "streams": ['
    comma = b""
    for table, retired in (("streams", False), ("retired", True)):
        for s in birth.site[table].of(name):
            yield comma + json.dumps(_stream(birth, s, retired)).encode()
            comma = b", "
    yield b"]}"


def _stream(birth, s, retired):
    alias = birth.aliases.get(s[0])
    row = {"n": alias or short(s[0]), "name": s[1], "unit": s[2], "exponent": s[3], "kind": s[4]}
    if alias is None:
        row["id"] = s[0]
    row["class"] = CLASS_NAMES[s[5]]
    row["period_s"] = s[6]
    if retired:
        row["retired"] = True
    return row
