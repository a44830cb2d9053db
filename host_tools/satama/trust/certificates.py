"""Certificates and keys in files: read, and judged by what the mbedTLS of stock MicroPython on an ESP32 takes.

PEM or DER in, DER out: the board needs no PEM reader, and DER is a quarter smaller. No text made here shows a byte of
a private key.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import CertificatePoliciesOID, ExtendedKeyUsageOID, NameOID

from ..core.problems import Wrong

SOON_DAYS = 90  # to reach every cabinet of a district takes that long
_LEAST_RSA, _MOST_RSA = (
    2048,
    4096,
)  # the least by mbedTLS's default profile; the most that the board computes in a few seconds
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_MOST_BYTES = 256 << 10
_MAKE_KEY = "openssl ecparam -genkey -name prime256v1 -noout -out client.key"
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_PEM_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")

# What mbedTLS parses (library/x509_crt.c, x509_get_crt_ext); it refuses a certificate with any other critical extension.
_KNOWN_CRITICAL = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
)


@dataclass(frozen=True)
class Certificate:
    """One certificate of a file: `at` counts from 1, `of` is how many the file holds."""

    path: Path
    at: int
    of: int
    x509: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        return self.x509.fingerprint(hashes.SHA256()).hex()

    @property
    def name(self) -> str:
        """The common name, or the whole subject."""
        common = self.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(common[0].value) if common else self.x509.subject.rfc4514_string() or "(no name)"

    @property
    def place(self) -> str:
        """The file, and which of its certificates."""
        return self.path.name if self.of == 1 else f"certificate {self.at} of {self.of} in {self.path.name}"

    @property
    def begins(self) -> datetime:
        return self.x509.not_valid_before_utc

    @property
    def ends(self) -> datetime:
        return self.x509.not_valid_after_utc

    def days(self, now: datetime) -> int:
        """Until it ends; negative afterwards."""
        return (self.ends - now).days


@dataclass(frozen=True)
class Credentials:
    """What of them goes onto the board. `client_key`: DER, a secret."""

    ca: list[Certificate] = field(default_factory=list)
    client: Certificate | None = None
    client_key: bytes = field(default=b"", repr=False)


def read_certificates(path: Path) -> list[Certificate]:
    """All certificates of a PEM file, or the one of a DER file. Raises Wrong."""
    data = _read(path)
    try:
        if _PEM_CERTIFICATE.search(data):
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except (ValueError, x509.InvalidVersion):
        what = "holds a private key and no certificate" if _is_key(data) else "holds no certificate"
        raise Wrong(f"{path.name} {what}", "PEM (-----BEGIN CERTIFICATE-----) or DER is read") from None
    held = [Certificate(path, at, len(found), one) for at, one in enumerate(found, 1)]
    for one in held:
        _require_whole(one)
    return held


def _require_whole(certificate: Certificate) -> None:
    """Parsing is put off until a part is asked for: ask for all of them. Raises Wrong."""
    one = certificate.x509
    try:
        _public(one.public_key())
        _ = one.subject.rfc4514_string(), one.not_valid_before_utc, one.not_valid_after_utc, list(one.extensions)
    except UnsupportedAlgorithm:
        raise Wrong(f"{certificate.place} has a key of a kind that the board does not take", _MAKE_KEY) from None
    except (ValueError, TypeError, OverflowError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        hint = f"`openssl x509 -in {certificate.path.name} -text` tells more; get the file again"
        raise Wrong(f"{certificate.place} is damaged", hint) from None


def holds_key(path: Path) -> bool:
    return bool(_PEM_KEY.search(_read(path)))


def read_key(path: Path) -> tuple[bytes, bytes]:
    """(DER for the board, DER of its public half). Raises Wrong."""
    data = _read(path)
    load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
    try:
        key = load(data, None)
    except TypeError:
        hint = (
            f"`openssl pkey -in {path.name} -out plain.key` takes the encryption off; keep that file for your eyes only"
        )
        raise Wrong(f"{path.name} is encrypted, and nobody types its password at the cabinet", hint) from None
    except (ValueError, UnsupportedAlgorithm):
        if _PEM_CERTIFICATE.search(data):
            raise Wrong(f"{path.name} holds a certificate and no private key", "client_key is the other file") from None
        raise Wrong(f"{path.name} holds no private key that can be read", "PEM or DER, unencrypted") from None
    wrong = _unfit(key.public_key())
    if wrong:
        raise Wrong(f"{path.name}: {wrong[0]}", wrong[1])
    form = serialization.PrivateFormat.TraditionalOpenSSL  # PKCS#1, SEC 1: the smallest that mbedTLS reads
    return key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption()), _public(key.public_key())


def fits(certificate: Certificate, public: bytes) -> bool:
    """Is this the certificate of the key with that public half?"""
    return _public(certificate.x509.public_key()) == public


def key_name(certificate: Certificate) -> str:
    """Such as RSA 2048, EC P-256."""
    key = certificate.x509.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")


def doubts_about_ca(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """(what, hint) of all that keeps the board from verifying anything with it, its dates left aside."""
    yield from _readable(certificate)
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        what = "is no CA certificate (basicConstraints CA:TRUE is missing)"
        yield what, "it may be the broker's own: give the certificate of the CA that signed that"
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "may not sign certificates (keyUsage without keyCertSign)", "ask who runs the CA for the right one"


def doubts_about_client(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """(what, hint), its dates left aside."""
    yield from _readable(certificate)
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is not None and not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {
        *usage
    }:
        yield "is not for clients (extendedKeyUsage without clientAuth)", "the broker would refuse it: ask for another"


def date_doubt(certificate: Certificate, now: datetime) -> str:
    """Empty while it counts."""
    if now > certificate.ends:
        return f"expired on {certificate.ends:%Y-%m-%d}"
    if now < certificate.begins:
        return f"does not count before {certificate.begins:%Y-%m-%d}"
    return ""


def today() -> datetime:
    return datetime.now(UTC)


def _readable(certificate: Certificate) -> Iterator[tuple[str, str]]:
    wrong = _unfit(certificate.x509.public_key())
    if wrong:
        yield f"has a key that does not do: {wrong[0]}", wrong[1]
    for extension in certificate.x509.extensions:
        if extension.critical and not _is_known(extension.value):
            name = getattr(extension.oid, "_name", extension.oid.dotted_string)
            hint = "ask who runs the CA for one without it, or where it is not critical"
            yield f"carries the critical extension {name}, with which the board refuses it", hint


def _is_known(value: x509.ExtensionType) -> bool:
    if isinstance(value, x509.CertificatePolicies):
        return all(policy.policy_identifier == CertificatePoliciesOID.ANY_POLICY for policy in value)
    return isinstance(value, _KNOWN_CRITICAL)


def _unfit(key: object) -> tuple[str, str] | None:
    """Why mbedTLS as MicroPython builds it will not work with this public key."""
    make = f"a new key: `{_MAKE_KEY}`, or RSA with 2048 bits"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA:
            return f"RSA with {key.key_size} bits is too weak", f"{make}; mbedTLS asks for {_LEAST_RSA} bits"
        if key.key_size > _MOST_RSA:
            return f"RSA with {key.key_size} bits is too slow for the board", f"{make}; at most {_MOST_RSA} bits"
        return None
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            return f"the curve {key.curve.name} is not taken", f"{make}; P-256, P-384 and P-521 are taken"
        return None
    kind = type(key).__name__.strip("_").removesuffix("PublicKey")
    return f"{kind} is not taken by the board", f"{make}; RSA and EC (P-256, P-384, P-521) are taken"


def _extension(certificate: Certificate, kind: type) -> object | None:
    try:
        return certificate.x509.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _public(key: object) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _is_key(data: bytes) -> bool:
    if _PEM_KEY.search(data):
        return True
    try:
        serialization.load_der_private_key(data, None)
    except (ValueError, UnsupportedAlgorithm):
        return False
    except TypeError:
        pass
    return True


def _read(path: Path) -> bytes:
    """Raises Wrong."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Wrong(f"there is no file {path}", "the path is relative to the site file") from None
    except OSError as error:
        raise Wrong(f"{path} cannot be read: {error.strerror}", "the path is relative to the site file") from None
    if len(data) > _MOST_BYTES:
        raise Wrong(f"{path.name} is too large for a certificate or key", "PEM or DER is read")
    return data
