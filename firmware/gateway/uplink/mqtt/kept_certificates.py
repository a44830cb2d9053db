"""Certificates that came over the broker, on flash beside the slots: read, judged, written. Wanted at a connect and when one comes.

A file begins with the SHA-256 of its content and of what it belongs to: a damaged one counts as none, and so does a client certificate
once a deploy has brought another of the site's own. It is written whole under another name first: a power cut leaves the old or the new.
"""

import errno
import hashlib
import os
import ssl

from micropython import const

from gateway.uplink.mqtt import x509

_DIGEST = const(32)
_MOST = const(2048)
_NEW = "/certs_next.new"


def _path(which):
    return "/" + which + "_next.der"


def read(which, spec):
    """The DER that is kept, b"" for none; None for one that counts no more: it is gone then."""
    try:
        with open(_path(which), "rb") as file:
            content = file.read(_DIGEST + _MOST)
    except OSError:
        return b""
    data = content[_DIGEST:]
    if content[:_DIGEST] == _digest(which, data, spec):
        return data
    _remove(which)
    return None


def write(which, data, spec):
    """Keep it, or with b"" nothing any more; "" when it is done, else why not."""
    try:
        if not data:
            os.remove(_path(which))
            return ""
        with open(_NEW, "wb") as file:
            file.write(_digest(which, data, spec))
            file.write(data)
        os.rename(_NEW, _path(which))
    except OSError as error:
        if data or error.errno != errno.ENOENT:  # there was none
            return "flash does not take it: full, or worn out"
    return ""


def judge(which, data, spec):
    """Why it cannot be used, "" when it can. Dates are the broker's to judge, and the operator's before he sends it."""
    try:
        if len(data) > _MOST:
            return "more than 2048 bytes"
        found = x509.each(data)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # only to see whether mbedTLS reads it
        if which == "ca":
            for one in found:
                if not x509.is_authority(one):
                    return "not a CA's"
                context.load_verify_locations(cadata=one)
        elif not spec.get("cert"):
            return "the site has no client certificate, and no key for one"
        elif len(found) != 1:
            return "more than one"
        elif x509.public_key(data) != x509.public_key(_content(spec["cert"])):
            return "another key's"
        else:
            context.load_cert_chain(data, _content(spec["key"]))
    except (ValueError, OSError):
        return "no certificate that can be read"
    except MemoryError:
        return "too little memory"
    return ""


def several(data):
    """Of CA certificates, each for itself: mbedTLS takes one at a time."""
    return x509.each(data)


def _digest(which, data, spec):
    digest = hashlib.sha256(data)
    if which == "client":
        for path in (spec["cert"], spec["key"]):
            digest.update(_content(path) if path else b"")
    return digest.digest()


def _content(path):
    with open(path, "rb") as file:
        return file.read()


def _remove(which):
    try:
        os.remove(_path(which))
    except OSError:
        pass  # there was none
