"""[mqtt]: is it clear which brokers are meant, and will the board be able to tell that they are the right ones?"""

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from ..core.problems import Key, Problem, Wrong
from ..site_file.hosts import is_address
from ..site_file.mqtt import PLAIN_PORT, TLS_PORT
from ..trust import certificates
from ..trust.certificates import SOON_DAYS, Certificate, Credentials
from .resolved import Resolved

_MOST_CA = 6  # each takes about 2 KB of the board's RAM during a handshake
_FOR_TLS = ("ca", "client_cert", "client_key")


def check_mqtt(resolved: Resolved, now: datetime | None = None) -> Iterator[Problem]:
    """Fills resolved.credentials."""
    mqtt, source = resolved.site.mqtt, resolved.source

    def problem(name: str | Key, what: str, hint: str) -> Problem:
        return source.problem(("mqtt", name) if isinstance(name, str) else ("mqtt", *name), what, hint)

    if mqtt.host and mqtt.hosts:
        yield problem(
            "hosts", "'host' and 'hosts' are both given", "one of the two: hosts = [..] where there are several"
        )
    if not mqtt.brokers:
        yield problem(
            "host", "'host' is missing", 'host = "broker.kalasatama.example", or hosts = [..] where there are several'
        )
    for place, (host, port) in enumerate(mqtt.brokers):
        if (host, port) in mqtt.brokers[:place]:
            yield problem(("hosts", place), f"{host}:{port} stands twice in the list", "once is enough")
    if mqtt.password.get_secret_value() and not mqtt.user:
        yield problem("password", "a password needs a user name (MQTT 3.1.1 section 3.1.2.9)", 'user = ".."')
    if mqtt.insecure:
        for name in _FOR_TLS:
            if name in mqtt.model_fields_set:
                yield problem(name, f"'{name}' is for TLS, but insecure = true", "remove one of the two")
        if mqtt.user:
            what = "user and password go to the broker in plain text, for everybody on the way to read"
            resolved.warnings.append(
                problem("password" if mqtt.password else "user", what, "TLS: ca instead of insecure")
            )
        return
    if any(port == PLAIN_PORT for _, port in mqtt.brokers):
        what = f"{PLAIN_PORT} is the usual port of plain TCP, but this is TLS"
        hint = f"leave the port out for {TLS_PORT}, unless the broker's operator says {PLAIN_PORT}"
        resolved.warnings.append(problem("port", what, hint))
    now = now or certificates.today()
    ca, problems, notes = read_ca(resolved, now)
    yield from problems
    client, key, problems, more = read_client(resolved, now)
    yield from problems
    resolved.warnings += [*notes, *more]
    for place, (host, _) in enumerate(mqtt.brokers):
        if is_address(host):
            what = f"{host} is an address: the broker's certificate must carry it as an IP address in subjectAltName"
            hint = "a host name is better: older versions of the board's mbedTLS compare names only"
            where = "host" if mqtt.host else ("hosts", place)
            resolved.warnings.append(problem(where, what, hint))
    resolved.credentials = Credentials(ca, client, key)


def read_ca(resolved: Resolved, now: datetime) -> tuple[list[Certificate], list[Problem], list[Problem]]:
    """(certificates, problems, warnings)."""
    mqtt, source = resolved.site.mqtt, resolved.source
    if not mqtt.ca:
        what = "'ca' is missing: by what would the board know that it is the right broker?"
        hint = 'ca = "ca.pem", the CA that signs the broker\'s certificate; insecure = true would be plain TCP, which everybody on the way may read and change'
        return [], [source.problem(("mqtt", "ca"), what, hint)], []
    found, problems, notes = [], [], []
    in_list = isinstance(source.value(("mqtt", "ca")), list)
    for place, name in enumerate(mqtt.ca):
        key: Key = ("mqtt", "ca", place) if in_list else ("mqtt", "ca")
        path = resolved.source.path.parent / name
        try:
            held = certificates.read_certificates(path)
            if certificates.holds_key(path):
                raise Wrong(
                    f"{path.name} holds a private key", "a CA's key never leaves the CA: give the certificate only"
                )
        except Wrong as wrong:
            problems.append(source.problem(key, f"ca: {wrong.what}", wrong.hint))
            continue
        for one in held:
            doubts = list(certificates.doubts_about_ca(one))
            problems += [source.problem(key, f"ca: {one.place}, {one.name!r}, {what}", hint) for what, hint in doubts]
            if one.fingerprint in [other.fingerprint for other in found]:
                notes.append(source.problem(key, f"ca: {one.place} is in the list already", "once is enough"))
                continue
            found.append(one)
            notes += _soon(resolved, key, "ca", one, now)
    if len(found) > _MOST_CA:
        what = f"ca: {len(found)} certificates are more than the board has room for"
        problems.append(source.problem(("mqtt", "ca"), what, f"only those that sign the broker's, at most {_MOST_CA}"))
    dead = [(one, doubt) for one in found if (doubt := certificates.date_doubt(one, now))]
    for one, doubt in dead:
        all_dead = len(dead) == len(found)
        hint = "satama certs tells what to do" if all_dead else "the others in the list count; satama certs tells more"
        (problems if all_dead else notes).append(
            source.problem(("mqtt", "ca"), f"ca: {one.place}, {one.name!r}, {doubt}", hint)
        )
    return found, problems, notes


def read_client(resolved: Resolved, now: datetime) -> tuple[Certificate | None, bytes, list[Problem], list[Problem]]:
    """(certificate, key as DER, problems, warnings)."""
    mqtt, source = resolved.site.mqtt, resolved.source
    if mqtt.client_cert is None and mqtt.client_key is None:
        return None, b"", [], []
    for name, other in (("client_cert", "client_key"), ("client_key", "client_cert")):
        if getattr(mqtt, name) is None:
            what = f"'{name}' is missing: {other} is of no use without it"
            return None, b"", [source.problem(("mqtt", other), what, f"{name} = the file with the other half")], []
    folder = resolved.source.path.parent
    client, secret, public = None, b"", b""
    problems, notes = [], []
    try:
        held = certificates.read_certificates(folder / mqtt.client_cert)
        client = held[0]
        if len(held) > 1:
            what = f"client_cert: of the {len(held)} certificates in {client.path.name} only the first is sent to the broker"
            notes.append(
                source.problem(("mqtt", "client_cert"), what, "the broker must know the intermediate CA itself")
            )
    except Wrong as wrong:
        problems.append(source.problem(("mqtt", "client_cert"), f"client_cert: {wrong.what}", wrong.hint))
    path = folder / mqtt.client_key
    try:
        secret, public = certificates.read_key(path)
        notes += _open_to_others(resolved, path)
    except Wrong as wrong:
        problems.append(source.problem(("mqtt", "client_key"), f"client_key: {wrong.what}", wrong.hint))
    if client:
        where = ("mqtt", "client_cert")
        for what, hint in certificates.doubts_about_client(client):
            problems.append(source.problem(where, f"client_cert: {client.place}, {client.name!r}, {what}", hint))
        doubt = certificates.date_doubt(client, now)
        if doubt:
            what = f"client_cert: {client.place}, {client.name!r}, {doubt}"
            problems.append(source.problem(where, what, "the broker would refuse it; satama certs tells what to do"))
        notes += _soon(resolved, where, "client_cert", client, now)
        if public and not certificates.fits(client, public):
            what = f"client_key: {path.name} is not the key of {client.place}, {client.name!r}"
            problems.append(
                source.problem(("mqtt", "client_key"), what, "key and certificate must be made for each other")
            )
    return client, secret, problems, notes


def _soon(resolved: Resolved, key: Key, role: str, one: Certificate, now: datetime) -> Iterator[Problem]:
    days = one.days(now)
    if 0 <= days < SOON_DAYS:
        what = f"{role}: {one.place}, {one.name!r}, ends in {days} days, on {one.ends:%Y-%m-%d}"
        yield resolved.source.problem(key, what, "satama certs tells what to do now, and in which order")


def _open_to_others(resolved: Resolved, path: Path) -> Iterator[Problem]:
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        what = f"client_key: other users of this machine may read {path.name}"
        yield resolved.source.problem(("mqtt", "client_key"), what, f"chmod 600 {path.name}")
