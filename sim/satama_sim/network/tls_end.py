"""TLS at the far end of the simulated network: the host's OpenSSL in memory, before a server that knows nothing of it."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from ..authority import DER, Authority, Issued
from .net import Session, TcpPeer


class Peer(Protocol):
    """A server's view of the other side."""

    def reply(self, data: bytes) -> None: ...
    def hang_up(self, error: int = 0) -> None: ...


@lru_cache(maxsize=1)
def simulated_authority() -> Authority:
    """Signs for simulated brokers, in the place of the site's CA, whose private key the simulator has not got.

    Its dates hold for every clock, since mbedTLS in the VM looks at the one on the wall; RSA, as its signatures have one length
    and the same run makes the same number of bytes.
    """
    return Authority("simulated CA", key="RSA-2048", begins=-9000, ends=9000)


@lru_cache(maxsize=8)
def simulated_server(names: tuple[str, ...]) -> Issued:
    return simulated_authority().server(*names, key="RSA-2048", begins=-9000, ends=9000)


def authority_der() -> bytes:
    """What the board must hold to believe a simulated broker."""
    return simulated_authority().issued.certificate_bytes(DER)


class TlsEnd:
    """Stands before `accept` of a server and speaks TLS 1.2 with whoever connects, with the certificate of `server`."""

    def __init__(self, accept: Callable[[Peer], Session | None], server: Issued):
        self._accept = accept
        self.present(server)

    def present(self, server: Issued, clients: Authority | None = None) -> None:
        """Another certificate from now on, for connections that come; they need one of the authority `clients`, if there is one."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2  # the most that stock ESP32 images speak
        with tempfile.TemporaryDirectory() as folder:  # OpenSSL takes its own files only
            self._context.load_cert_chain(*server.write(Path(folder), "server"))
        if clients:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(cadata=clients.issued.certificate_bytes().decode())

    def accept(self, peer: TcpPeer) -> _TlsSession | None:
        tls = _TlsSession(self._context, peer)
        tls.session = self._accept(tls)
        return tls if tls.session else None


class _TlsSession:
    """Towards the network a Session, towards the server a peer."""

    def __init__(self, context: ssl.SSLContext, peer: TcpPeer):
        self._peer = peer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._greeted = False
        self._early = b""  # from a server that speaks first
        self.session: Session | None = None

    # from the network

    def received(self, data: bytes) -> None:
        self._in.write(data)
        plain = bytearray()
        try:
            if not self._greeted:
                self._tls.do_handshake()
                self._greeted = True
                self.reply(self._early)
            while part := self._tls.read(65536):
                plain += part
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # the alert that says why is on its way
            self._flush()
            self.closed(False)
            self._peer.hang_up()
            return
        self._flush()
        if plain and self.session:
            self.session.received(bytes(plain))

    def closed(self, clean: bool) -> None:
        session, self.session = self.session, None
        if session:
            session.closed(clean)

    # from the server

    def reply(self, data: bytes) -> None:
        if not self._greeted:
            self._early += data
        elif data:
            self._tls.write(data)
            self._flush()

    def hang_up(self, error: int = 0) -> None:
        self.session = None
        self._peer.hang_up(error)

    def _flush(self) -> None:
        if data := self._out.read():
            self._peer.reply(data)
