"""What is said at a connect: CONNECT itself, the births of the gateway and its devices, its state. `birth`: a birth.Birth.

Wanted at a connect only, and let go of afterwards.
"""

import json

from umqtt import simple

from gateway.core.short_name import short
from gateway.core.schema import CLASS_NAMES


def connect(client):
    """The CONNECT packet as umqtt makes it, whatever its version and the signature of its connect(); `client`: an uplink.mqtt.Client.

    Where the broker must not send us anything any more, it is to forget what an earlier connection asked for; what we send does not
    need its memory (session.py).
    """
    is_deaf = client.renewal is not None and client.renewal.is_deaf
    recorder = _Recorder()
    before, simple.socket = simple.socket, recorder
    try:
        client.connect(clean_session=is_deaf)
    finally:
        simple.socket = before
        client.sock = None
    return recorder.written


class _Recorder:
    """In the place of umqtt's module `socket` and of its sockets: takes the CONNECT packet, and says yes."""

    def __init__(self):
        self.written = bytearray()

    def socket(self, *_):
        return self

    def getaddrinfo(self, *_):
        return ((0, 0, 0, "", None),)

    def write(self, data, size=None):
        self.written.extend(data if size is None else memoryview(data)[:size])

    def read(self, size):
        return b"\x20\x02\0\0"  # CONNACK: accepted

    def settimeout(self, *_):
        pass

    setblocking = connect = close = settimeout


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
