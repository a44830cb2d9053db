"""Names that cannot be traced back without the key of this gateway, which never leaves it: HMAC-SHA-256 (RFC 2104), 64 bits of it."""

from array import array
from binascii import hexlify, unhexlify
from hashlib import sha256

from micropython import const

KEY_BYTES = const(32)
_BLOCK = const(64)
_BYTES = const(8)  # of a pseudonym


def pseudonym(key, name):
    """16 hex digits for a name; `key`: KEY_BYTES random bytes."""
    key = key + bytes(_BLOCK - len(key))
    inner = sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(name.encode())
    outer = sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return hexlify(outer.digest()[:_BYTES]).decode()


class Pseudonyms:
    """The pseudonym of each of these numbers, 12 bytes a piece: of streams that are gone there may be hundreds."""

    def __init__(self, numbers):
        self._numbers = array("I", sorted(numbers))
        self._names = bytearray(_BYTES * len(numbers))

    def put(self, number, name):
        """`name`: as of pseudonym()."""
        at = _BYTES * self._find(number)
        self._names[at : at + _BYTES] = unhexlify(name)

    def get(self, number):
        """None where there is none."""
        at = self._find(number)
        if at == len(self._numbers) or self._numbers[at] != number:
            return None
        return hexlify(self._names[_BYTES * at : _BYTES * at + _BYTES]).decode()

    def _find(self, number):
        numbers = self._numbers
        low, high = 0, len(numbers)
        while low < high:
            middle = (low + high) // 2
            if numbers[middle] < number:
                low = middle + 1
            else:
                high = middle
        return low
