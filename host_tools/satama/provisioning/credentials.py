"""Who a gateway is to the broker: a client certificate by a CA of the user's, or a random password.

Both are made once and kept in files that only their owner may read; what is there is used again, never replaced. A
gateway is known by its name: common name of the certificate, or user name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..core.problems import Wrong
from ..core.whole_file import write_whole
from ..trust import certificates
from .cabinets import Cabinet

CA_CERTIFICATE, CA_KEY = "ca.pem", "ca.key"
VALID_DAYS = 3 * 365
_LEAST_DAYS = 90  # left of a certificate that is used again: less would send somebody back to the cabinet soon
_SLACK = timedelta(hours=1)  # a broker whose clock is behind takes the new certificate, too
_PASSWORD_BYTES = 24  # 192 random bits, 32 characters
_HOW_TO = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 7300 -subj '/CN=cabinets CA' "
    "-addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.pem"
)


@dataclass(frozen=True)
class Authority:
    """A CA in a folder: ca.pem and ca.key. The folder's gateways/ holds what it has issued."""

    folder: Path
    certificate: certificates.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(repr=False)

    def files(self, cabinet: Cabinet) -> tuple[Path, Path]:
        """Where the certificate and the private key of a gateway are, or will be."""
        base = (self.folder / "gateways").resolve()
        return base / f"{cabinet.file_name}.pem", base / f"{cabinet.file_name}.key"


def load_authority(folder: Path, ask_password: Callable[[], str] | None = None) -> Authority:
    """`ask_password` is called when the key is encrypted. Raises Wrong."""
    for name in (CA_CERTIFICATE, CA_KEY):
        if not (folder / name).is_file():
            hint = f"it needs {CA_CERTIFICATE} and {CA_KEY} of a CA for gateways; to make one: {_HOW_TO}"
            raise Wrong(f"there is no {name} in {folder}", hint)
    one = certificates.read_certificates(folder / CA_CERTIFICATE)[0]
    for what, hint in certificates.doubts_about_ca(one):
        raise Wrong(f"{CA_CERTIFICATE} {what}", hint)
    if doubt := certificates.date_doubt(one, certificates.today()):
        raise Wrong(f"{CA_CERTIFICATE} {doubt}", "the broker would refuse whatever it signs: a new CA")
    key = _load_key(folder / CA_KEY, ask_password)
    if not certificates.fits(one, _public(key)):
        raise Wrong(f"{CA_KEY} is not the key of {CA_CERTIFICATE}", "both must be of one CA")
    return Authority(folder, one, key)


def _load_key(path: Path, ask_password: Callable[[], str] | None) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Wrong(f"{path} cannot be read: {error.strerror}", "who runs the CA may read it") from None
    try:
        try:
            key = serialization.load_pem_private_key(data, None)
        except TypeError:
            if ask_password is None:
                hint = "run it on a terminal, where it can ask for the password"
                raise Wrong(f"{path.name} is encrypted, and there is nobody to ask", hint) from None
            key = serialization.load_pem_private_key(data, ask_password().encode())
    except Wrong:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Wrong(f"{path.name} cannot be read", "a private key in PEM; is the password right?") from None
    return key


def check_certificate(authority: Authority, cabinet: Cabinet) -> bool:
    """Is there already one that can be used again? Writes nothing. Raises Wrong when what is there is of no use."""
    path, key_path = authority.files(cabinet)
    if not path.exists():
        if key_path.exists():
            certificates.read_key(key_path)  # a run was cut between the two files: the key gets its certificate
        return False
    away = f"if it may go, move {path.name} and {key_path.name} out of {path.parent}; then new ones are made"
    if not key_path.exists():
        raise Wrong(f"{path.name} is there, but {key_path.name} is not", away)
    one = certificates.read_certificates(path)[0]
    _, public = certificates.read_key(key_path)
    if not certificates.fits(one, public):
        raise Wrong(f"{key_path.name} is not the key of {path.name}", away)
    if one.name != cabinet.gateway:
        raise Wrong(f"{path.name} is the certificate of {one.name!r}, not of '{cabinet.gateway}'", away)
    try:
        one.x509.verify_directly_issued_by(authority.certificate.x509)
    except Exception:  # of three kinds, all of which say that it was another CA
        raise Wrong(f"{path.name} was not signed by this CA", away) from None
    if (days := one.days(certificates.today())) < _LEAST_DAYS:
        raise Wrong(f"{path.name} ends in {days} days, on {one.ends:%Y-%m-%d}", away)
    return True


def make_certificate(authority: Authority, cabinet: Cabinet, now: datetime | None = None) -> tuple[Path, Path]:
    """The files of its certificate and its key; those that are there already stay. Raises Wrong and Problems."""
    path, key_path = authority.files(cabinet)
    if check_certificate(authority, cabinet):
        return path, key_path
    _make_folder(path.parent)
    if not key_path.exists():
        write_whole(key_path, _pem(ec.generate_private_key(ec.SECP256R1())), secret=True)
    key = serialization.load_der_private_key(certificates.read_key(key_path)[0], None)
    issued = _sign(authority, cabinet.gateway, key.public_key(), now or certificates.today())
    write_whole(path, issued.public_bytes(serialization.Encoding.PEM))
    return path, key_path


def _sign(authority: Authority, name: str, public: ec.EllipticCurvePublicKey, now: datetime) -> x509.Certificate:
    """RFC 5280: for a TLS client and nothing else. It never ends later than its CA."""
    ca = authority.certificate
    ends = min(now + timedelta(days=VALID_DAYS), ca.ends)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(ca.x509.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - _SLACK, ca.begins))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_signing_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256())


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def password_file(folder: Path, cabinet: Cabinet) -> Path:
    return folder / "gateways" / f"{cabinet.file_name}.password"


def read_password(folder: Path, cabinet: Cabinet) -> str:
    """Of a gateway; empty where none was made yet. Raises Wrong."""
    path = password_file(folder, cabinet)
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise Wrong(f"{path} cannot be read", "move it away, and a new password is made") from None
    if not password.isprintable() or not password.strip():
        raise Wrong(f"{path} holds no password", "move it away, and a new one is made")
    return password


def require_user_name(name: str) -> None:
    """Can mosquitto's password file hold it? Raises Wrong."""
    if ":" in name:
        hint = "another name for it, or a client certificate"
        raise Wrong(f"'{name}' is no user name for mosquitto: it holds a colon", hint)


def check_password(folder: Path, cabinet: Cabinet) -> bool:
    """Was one made already? Writes nothing. Raises Wrong."""
    require_user_name(cabinet.gateway)
    return bool(read_password(folder, cabinet))


def make_password(folder: Path, cabinet: Cabinet) -> str:
    """A new one, or the one that was made before. Raises Wrong and Problems."""
    if check_password(folder, cabinet):
        return read_password(folder, cabinet)
    path = password_file(folder, cabinet)
    _make_folder(path.parent)
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    write_whole(path, f"{password}\n".encode(), secret=True)
    return password


def _make_folder(folder: Path) -> None:
    """For the owner only."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Wrong(f"the folder {folder} cannot be made: {error.strerror}", "is the one above it yours?") from None


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _public(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)
