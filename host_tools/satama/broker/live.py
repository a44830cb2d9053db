"""At a broker: every message of some topic filters, at QoS 1, in order of arrival, for a bounded time; and what is said there first."""

from __future__ import annotations

import queue
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE_S = 10
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PORT, _TLS_PORT = 1883, 8883


class LiveError(Exception):
    """The broker cannot be reached, refuses, or the library for it is missing; the text says which, and the way out."""


@dataclass(frozen=True)
class Access:
    """Where the broker is and how to get in: `tls` with which CAs, and with which certificate of ours; None is plain TCP.

    client   a name under which the broker keeps messages for us between runs
    """

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    client: str = ""


def access(
    address: str,
    user: str = "",
    password_file: Path | None = None,
    ca: Path | Sequence[Path] | None = None,
    client: str = "",
    cert: Path | None = None,
    key: Path | None = None,
) -> Access:
    """Raises ValueError where the options make no sense."""
    host, port = parse_address(address, _TLS_PORT if ca else _PORT)
    if password_file and not user:
        raise ValueError("a password without a user -> --user NAME")
    password = ""
    if password_file:
        try:
            password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{password_file}: the password cannot be read: {error}") from None
    if (cert or key) and not ca:
        raise ValueError("a certificate of ours without TLS -> --ca FILE")
    return Access(
        host, port, user, password, _tls([ca] if isinstance(ca, Path) else ca, cert, key) if ca else None, client
    )


def _tls(ca: Sequence[Path], cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """A context that trusts the certificates of these files only, PEM or DER. Raises ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        for path in ca:
            data = path.read_bytes()
            context.load_verify_locations(cadata=data.decode() if b"-----BEGIN" in data else data)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file of certificates") from None
        raise ValueError(
            f"{path}: no certificates can be read there ({getattr(error, 'reason', None) or error})"
        ) from None
    if cert:
        try:
            context.load_cert_chain(cert, key, password=lambda: "")  # nobody is asked for a password
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise ValueError(f"{cert}: no certificate (PEM) with its key, unencrypted: {reason}") from None
    return context


def parse_address(address: str, default_port: int = _PORT) -> tuple[str, int]:
    """HOST, HOST:PORT or [IPv6]:PORT. Raises ValueError."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\s\[\]/]+))(?::([0-9]{1,5}))?", address)
    port = int(found[3]) if found and found[3] else default_port
    if not found or not 0 < port < 65536:
        raise ValueError(f"{address!r} is no broker address -> HOST or HOST:PORT, such as localhost:1883")
    return found[1] or found[2], port


def seconds(text: str) -> float:
    """90, 90s, 10m, 24h or 2d. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)", text.strip())
    if not found or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is no duration -> 90s, 10m, 24h")
    return float(found[1]) * _UNITS[found[2]]


def messages(
    where: Access, filters: list[str], for_s: float | None = None, retained: Sequence[tuple[str, bytes]] = ()
) -> Iterator[tuple[str, bytes]]:
    """(topic, payload) as they come, until `for_s` seconds have passed; without, until nobody asks any more. Raises LiveError.

    `retained` is published as such once we are sure to hear the answers.
    A connection that breaks is made again; the first one must succeed.
    """
    try:
        from paho.mqtt import client as mqtt
    except ModuleNotFoundError:
        raise LiveError("a broker needs the package paho-mqtt -> pip install 'satama[collect]'") from None
    name = f"{where.host}:{where.port}"
    inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    to_say = list(retained)

    def connected(client: Any, data: object, flags: object, reason: Any, *_: object) -> None:
        if reason.is_failure:
            inbox.put(("refused", str(reason)))
        else:
            client.subscribe([(one, 1) for one in filters])

    def subscribed(client: Any, data: object, mid: int, reasons: list[Any], *_: object) -> None:
        refused = [one for one, reason in zip(filters, reasons, strict=False) if reason.is_failure]
        inbox.put(("refused", f"no right to read {refused[0]}") if refused else ("ready", None))
        while to_say and not refused:
            topic, payload = to_say.pop(0)
            client.publish(topic, payload, 1, retain=True)

    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=where.client or None, clean_session=not where.client
    )
    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_message = lambda client, data, message: inbox.put(("message", (message.topic, message.payload)))
    client.reconnect_delay_set(1, 30)
    try:
        if where.user:
            client.username_pw_set(where.user, where.password)
        if where.tls:
            client.tls_set_context(where.tls)
        client.connect(where.host, where.port, keepalive=30)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LiveError(f"no broker answers at {name} ({reason}) -> start it, or check host and port") from None
    client.loop_start()
    try:
        yield from _until(inbox, name, for_s)
    finally:
        client.disconnect()
        client.loop_stop()


def _until(inbox: queue.SimpleQueue[tuple[str, Any]], name: str, for_s: float | None) -> Iterator[tuple[str, bytes]]:
    ready_by = time.monotonic() + _PATIENCE_S
    ready = False
    end = None if for_s is None else time.monotonic() + for_s
    while True:
        now = time.monotonic()
        if end is not None and now >= end and ready:
            return
        wait = min(1.0, max(0.001, end - now)) if end is not None and ready else 1.0
        try:
            what, content = inbox.get(timeout=wait)
        except queue.Empty:
            if not ready and now > ready_by:
                raise LiveError(f"the broker at {name} accepts the connection, but says nothing") from None
            continue
        if what == "refused":
            raise LiveError(
                f"the broker at {name} does not let us in: {content} -> check user, password and access rules"
            )
        if what == "ready":
            ready = True
        else:
            yield content
