"""A certificate authority for tests and simulations. It keeps its key in memory; nothing outside must ever trust it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Any

    def certificate_bytes(self, encoding: serialization.Encoding = PEM) -> bytes:
        return self.certificate.public_bytes(encoding)

    def key_bytes(self, encoding: serialization.Encoding = PEM, password: str | None = None) -> bytes:
        """PKCS#8; encrypted when a password is given."""
        secret = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        return self.key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, secret)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """NAME.pem and NAME.key, the key for the owner's eyes only."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.certificate_bytes())
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.key_bytes())
        return certificate, key


def new_key(kind: str = "P-256") -> Any:
    """P-256, P-384, secp256k1, Ed25519, or RSA-<bits>."""
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(65537, int(kind[4:]))
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "secp256k1": ec.SECP256K1}[kind]())


class Authority:
    """A CA. Times are days from now, negative in the past.

    ca = Authority("district CA 2026")
    server = ca.server("broker.example")
    client = ca.client("gw-1")
    """

    def __init__(self, name: str, *, key: str = "P-256", begins: float = -2, ends: float = 3650, **odd: Any):
        """`odd`: what a broken CA has, see _issue."""
        odd.setdefault("ca", True)
        self.name = name
        self._signer: Issued | None = None
        self._signer = self._issue(name, new_key(key), begins, ends, **odd)

    @property
    def issued(self) -> Issued:
        """Its own certificate, signed by itself."""
        return self._signer

    def server(self, *names: str, begins: float = -1, ends: float = 365, key: str = "P-256") -> Issued:
        """For a server with these host names or addresses."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(names[0], new_key(key), begins, ends, names=names, purposes=[usage])

    def client(self, name: str, *, begins: float = -1, ends: float = 365, key: str = "P-256") -> Issued:
        return self._issue(name, new_key(key), begins, ends, purposes=[ExtendedKeyUsageOID.CLIENT_AUTH])

    def renew(self, old: Issued, *, begins: float = -1, ends: float = 365) -> Issued:
        """A new client certificate for the same name and key."""
        name = str(old.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        return self._issue(name, old.key, begins, ends, purposes=[ExtendedKeyUsageOID.CLIENT_AUTH])

    def _issue(
        self,
        name: str,
        key: Any,
        begins: float,
        ends: float,
        *,
        ca: bool | None = None,
        names: Sequence[str] = (),
        purposes: Sequence[x509.ObjectIdentifier] = (),
        signs: bool = True,
        extension: x509.ExtensionType | None = None,
    ) -> Issued:
        """`ca`: basicConstraints, None leaves it out; `signs`: keyUsage of a CA; `extension`: one more, critical."""
        now = datetime.now(UTC).replace(microsecond=0)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = self._signer
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer.certificate.subject if signer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * _DAY)
            .not_valid_after(now + ends * _DAY)
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if ca:
            builder = builder.add_extension(_key_usage(signs), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        if extension:
            builder = builder.add_extension(extension, critical=True)
        signing = signer.key if signer else key
        plain = isinstance(signing, ed25519.Ed25519PrivateKey)
        return Issued(builder.sign(signing, None if plain else hashes.SHA256()), key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
