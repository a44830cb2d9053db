"""What the device is told of its brokers, and the files by which it knows them."""

import hashlib
from typing import Any

from ..resolving.resolved import Resolved
from ..trust.certificates import Credentials

FOLDER = "certs"  # in the application slot, beside the site that names them
_SLOT = "/slot"  # where the device sees its slot
_CLIENT, _KEY = f"{FOLDER}/client.der", f"{FOLDER}/client_key.der"


def compile_mqtt(resolved: Resolved) -> dict[str, Any]:
    """ "mqtt" of the compiled site; `ca`, `cert` and `key` are paths on the device."""
    mqtt, credentials = resolved.site.mqtt, resolved.credentials
    return {
        "hosts": [list(place) for place in mqtt.brokers],
        "keepalive_s": mqtt.keepalive_s,
        "user": mqtt.user,
        "password": mqtt.password.get_secret_value(),
        "window": mqtt.window,
        "tls": 0 if mqtt.insecure else 1,
        "ca": [f"{_SLOT}/{path}" for path in _authorities(credentials)],
        "cert": f"{_SLOT}/{_CLIENT}" if credentials.client else "",
        "key": f"{_SLOT}/{_KEY}" if credentials.client else "",
        "encoding": mqtt.encoding,
        "batch_age_s": mqtt.batch_age_s,
        "batch_samples": mqtt.batch_samples,
        "batch_bytes": mqtt.batch_bytes,
        "backlog_bytes_s": mqtt.backlog_bytes_s,
    }


def device_certificates(credentials: Credentials) -> dict[str, bytes]:
    """Path in the application slot -> DER."""
    files = _authorities(credentials)
    if credentials.client:
        files |= {_CLIENT: credentials.client.der, _KEY: credentials.client_key}
    return files


def public_digests(resolved: Resolved) -> dict[str, str]:
    """Path -> SHA-256 of what is no secret: a site whose CA changes is another one."""
    files = device_certificates(resolved.credentials)
    return {path: hashlib.sha256(der).hexdigest() for path, der in sorted(files.items()) if path != _KEY}


def _authorities(credentials: Credentials) -> dict[str, bytes]:
    return {f"{FOLDER}/ca{at}.der": one.der for at, one in enumerate(credentials.ca)}
