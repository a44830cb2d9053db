"""Names that cannot be traced back without the key of this gateway, which never leaves it: HMAC-SHA-256 (RFC 2104), 64 bits of it."""

from binascii import hexlify
from hashlib import sha256

from micropython import const

KEY_BYTES = const(32)
_BLOCK = const(64)


def pseudonym(key, name):
    """16 hex digits for a name; `key`: KEY_BYTES random bytes."""
    key = key + bytes(_BLOCK - len(key))
    inner = sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(name.encode())
    outer = sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return hexlify(outer.digest()[:8]).decode()
