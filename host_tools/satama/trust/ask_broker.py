"""What a broker presents to whoever connects, looked at from the technician's machine."""

import socket
import ssl
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .certificates import Certificate

_PATIENCE_S = 5


def ask(host: str, port: int, authorities: list[Certificate], now: datetime) -> dict[str, Any]:
    """{"broker", "error"} and, as far as it speaks TLS, "name", "names", "ends", "days", and "signed_by" (names of those CAs that vouch for it).

    `error` is a sentence, empty when the gateway would connect as far as the broker's certificate goes.
    """
    facts: dict[str, Any] = {"broker": f"{host}:{port}", "error": "", "signed_by": []}
    try:
        shown = x509.load_der_x509_certificate(_shake_hands(host, port, None))
    except ssl.SSLError as error:
        return facts | {"error": f"it speaks no TLS that we understand ({error.reason or 'no reason given'})"}
    except (ConnectionResetError, BrokenPipeError):
        return facts | {"error": "it speaks no TLS: it hung up at our greeting"}
    except OSError as error:
        return facts | {"error": f"it cannot be reached: {error.strerror or error}"}
    facts |= {
        "name": shown.subject.rfc4514_string(),
        "names": _names(shown),
        "ends": f"{shown.not_valid_after_utc:%Y-%m-%d}",
        "days": (shown.not_valid_after_utc - now).days,
    }
    refusals = []
    for one in authorities:
        try:
            _shake_hands(host, port, one)
            facts["signed_by"].append(one.name)
        except ssl.SSLCertVerificationError as error:
            refusals.append(error.verify_message)
        except OSError as error:
            refusals.append(str(error.strerror or error))
    if not facts["signed_by"] and refusals:
        # The one that says most: "no issuer" is what every CA that has nothing to do with it says.
        telling = [
            text
            for text in refusals
            if "issuer" not in text and "self-signed" not in text and "self signed" not in text
        ]
        facts["error"] = (telling or ["no CA of the list has signed its certificate"])[0]
    return facts


def _shake_hands(host: str, port: int, authority: Certificate | None) -> bytes:
    """The server's certificate as DER; judged if a CA is given. Raises OSError, of which SSLError is one.

    With TLS 1.3 this ends before the server can ask for a certificate of ours.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        context.load_verify_locations(cadata=authority.x509.public_bytes(Encoding.PEM).decode())
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # mbedTLS trusts what it is given, root or not
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=_PATIENCE_S) as plain:
        tls = context.wrap_socket(plain, server_hostname=host)
        try:
            return tls.getpeercert(True) or b""
        finally:
            tls.close()


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in names]
