"""A look into certificates (DER, RFC 5280, section 4.1): mbedTLS takes some without a word that are of no use afterwards.

It verifies with any certificate that it was given as a CA's, and presents one of another key. Wanted when one comes, not for TLS itself.
"""

from micropython import const

_SEQUENCE, _OID, _BOOLEAN, _OCTETS = const(0x30), const(0x06), const(0x01), const(0x04)
_VERSION, _EXTENSIONS = const(0xA0), const(0xA3)
_KEY = const(5)  # serial number, signature algorithm, issuer, validity, subject, subjectPublicKeyInfo
_CONSTRAINTS = b"\x55\x1d\x13"  # 2.5.29.19, basicConstraints (section 4.2.1.9)


def each(data):
    """List of the certificates that stand one after the other in `data`. Raises ValueError when there is anything else."""
    found, begin = [], 0
    for tag, start, end in _elements(data, 0, len(data)):
        if tag != _SEQUENCE:
            raise ValueError("no certificate")
        found.append(data[begin:end])
        begin = end
    return found


def public_key(der):
    """The subjectPublicKeyInfo: equal for two certificates of one key. Raises ValueError."""
    parts = [part for part in _parts(der) if part[0] != _VERSION]
    if len(parts) <= _KEY or parts[_KEY][0] != _SEQUENCE:
        raise ValueError("no certificate")
    return der[parts[_KEY][1] : parts[_KEY][2]]


def is_authority(der):
    """May others be verified with it (basicConstraints, CA:TRUE)? Raises ValueError."""
    for tag, start, end in _parts(der):
        if tag == _EXTENSIONS:
            for _, first, last in _elements(der, *_only(der, start, end)):
                parts = list(_elements(der, first, last))
                if parts and parts[0][0] == _OID and der[parts[0][1] : parts[0][2]] == _CONSTRAINTS:
                    if parts[-1][0] != _OCTETS:
                        raise ValueError("no certificate")
                    said = list(_elements(der, *_only(der, parts[-1][1], parts[-1][2])))
                    return len(said) > 0 and said[0][0] == _BOOLEAN and der[said[0][1] : said[0][2]] != b"\0"
    return False


def _parts(der):
    """The elements of TBSCertificate."""
    start, end = _only(der, 0, len(der))
    for tag, first, last in _elements(der, start, end):
        if tag == _SEQUENCE:
            return list(_elements(der, first, last))
        break
    raise ValueError("no certificate")


def _only(der, at, end):
    """Where the content of the one SEQUENCE lies that fills der[at:end]."""
    found = list(_elements(der, at, end))
    if len(found) != 1 or found[0][0] != _SEQUENCE:
        raise ValueError("no certificate")
    return found[0][1:]


def _elements(der, at, end):
    """Yield (tag, start, end) of what stands in der[at:end], the bounds those of its content (X.690, section 8.1)."""
    while at < end:
        start = at + 2
        if start > end:
            raise ValueError("no certificate")
        tag, size = der[at], der[at + 1]
        if size & 0x80:
            digits = size & 0x7F
            if not 1 <= digits <= 2 or start + digits > end:
                raise ValueError("no certificate")
            size = int.from_bytes(der[start : start + digits], "big")
            start += digits
        at = start + size
        if at > end:
            raise ValueError("no certificate")
        yield tag, start, at
