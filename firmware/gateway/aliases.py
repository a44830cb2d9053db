"""The names that leave the gateway: those of private devices are pseudonyms, made with a key that never leaves it."""

import os

from esp32 import NVS


def give(site):
    """Rename the private devices of a compiled site, everywhere in it.

    Returns the names of their streams on the wire, by stream id, and the indexes of their points.
    """
    wire, points = {}, []
    hidden = [row[0] for row in site["devices"] if row[2]]
    if not hidden:
        return wire, points
    from gateway.core.pseudonym import pseudonym

    key = _key()
    names = {name: pseudonym(key, name) for name in hidden}
    for row in site["streams"]:
        device, _, point = row[1].partition("/")
        if device in names:
            wire[row[0]] = pseudonym(key, row[1])
            row[1] = names[device] + "/" + point
    for at, (name, exponent) in enumerate(site["points"]):
        device, _, point = name.partition("/")
        if device in names:
            site["points"][at] = (names[device] + "/" + point, exponent)
            points.append(at)
    for row in site["devices"]:
        row[0] = names.get(row[0], row[0])
    return wire, points


def _key():
    """32 random bytes, made at the gateway's first start."""
    nvs = NVS("satama")
    key = bytearray(32)
    try:
        if nvs.get_blob("alias_key", key) == len(key):
            return bytes(key)
    except OSError:
        pass
    key = os.urandom(len(key))
    nvs.set_blob("alias_key", key)
    nvs.commit()
    return key
