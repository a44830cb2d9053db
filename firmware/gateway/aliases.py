"""The names that leave the gateway: those of private devices are pseudonyms, made with a key that never leaves it."""

import os

from esp32 import NVS


def give(site):
    """Rename the private devices of a compiled site, everywhere in it, and those that are gone.

    Returns the names of their streams on the wire, with a get() by stream id, and the indexes of their points.
    """
    renewed = site.pop("renewed")
    hidden = [row[0] for row in site["devices"] if row[2]]
    gone = []
    for row in site["retired"]:
        device = row[1].partition("/")[0]
        if row[8] and device not in gone:
            gone.append(device)
    if not hidden and not gone:
        return {}, []
    from gateway.core.pseudonym import Pseudonyms, pseudonym

    key = _key()
    names = {name: pseudonym(key, name) for name in hidden}
    wire = Pseudonyms([row[0] for row in _streams(site, hidden)])
    for row in _streams(site, hidden):
        name = row[1]
        if row[0] in renewed:  # another stream has had this name, and its pseudonym
            name += "#{}".format(row[0])
        wire.put(row[0], pseudonym(key, name))
    points = []
    for at, row in enumerate(site["points"]):
        if row[0].partition("/")[0] in names:
            points.append(at)
    site["streams"].renamed = site["points"].renamed = names
    site["retired"].renamed = {name: pseudonym(key, name) for name in gone}
    for row in site["devices"]:
        row[0] = names.get(row[0], row[0])
    return wire, points


def _streams(site, hidden):
    """The rows of all streams that go by a pseudonym."""
    for row in site["streams"]:
        if row[1].partition("/")[0] in hidden:
            yield row
    for row in site["retired"]:
        if row[8]:
            yield row


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
