"""A real TLS server on loopback, and the way to it for a board under the virtual clock: time stands still until it has answered."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from satama_sim.network.net import TcpPeer
from satama_sim.pytest_plugin import missing

PATIENCE_S = 10.0
_REQUEST = """
[req]
distinguished_name = subject
prompt = no
x509_extensions = authority
[subject]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = CA:FALSE
subjectAltName = DNS:{name}
"""


class Certificates:
    """An authority and a server certificate signed by it, made with the openssl program; valid by today's wall clock."""

    def __init__(self, folder: Path, name: str):
        self._folder = folder
        if not shutil.which("openssl"):
            missing(
                "the TLS tests make their certificates with the openssl program, which is not here -> install openssl"
            )
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        self._write("authority.cnf", _REQUEST.format(name="Test Authority"))
        self._write("server.cnf", _REQUEST.format(name=name))
        self._openssl(
            "req", "-x509", *curve, "-config", "authority.cnf", "-days", "30", "-keyout", "a.key", "-out", "a.pem"
        )
        self._openssl("req", *curve, "-config", "server.cnf", "-keyout", "s.key", "-out", "s.csr")
        signed = ("-CA", "a.pem", "-CAkey", "a.key", "-CAcreateserial", "-days", "30", "-extfile", "server.cnf")
        self._openssl("x509", "-req", "-in", "s.csr", *signed, "-extensions", "server", "-out", "s.pem")
        self._openssl("x509", "-in", "a.pem", "-outform", "der", "-out", "a.der")
        self.authority = (folder / "a.der").read_bytes()
        self.chain, self.key = folder / "s.pem", folder / "s.key"

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True, timeout=60)


class TlsEcho:
    """Answers every line over TLS. It says how many bytes it has taken in and given out, so that the relay knows when to go on."""

    def __init__(self, certificates: Certificates):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.chain, certificates.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self.progress = threading.Condition()
        self.taken = self.given = 0  # encrypted bytes of the newest connection
        self.heard = bytearray()
        self.failures: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self.progress:
                self.taken = self.given = 0
            with contextlib.suppress(OSError), connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_side=True)
        secured = failed = False
        while data := connection.recv(65536):
            incoming.write(data)
            try:
                if not secured:
                    tls.do_handshake()
                    secured = True
                while text := tls.read(65536):
                    self.heard += text
                    tls.write(text.upper())
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.failures.append(error.reason or str(error))
                failed = True
            answer = outgoing.read()
            connection.sendall(answer)
            with self.progress:
                self.taken += len(data)
                self.given += len(answer)
                self.progress.notify_all()
            if failed:
                return


class FrozenTlsRelay:
    """`accept` for the simulated network: bytes go to the real server, and its answer comes at the simulated moment of the question."""

    def __init__(self, server: TlsEcho):
        self.server = server
        self.hold_us = 0  # all but the first bytes of an answer come that much later

    def __call__(self, peer: TcpPeer) -> _Session:
        return _Session(peer, self)


class _Session:
    def __init__(self, peer: TcpPeer, relay: FrozenTlsRelay):
        self._peer, self._relay = peer, relay
        self._server = server = relay.server
        with server.progress:
            server.taken = server.given = -1
        self._socket = socket.create_connection(server.address, timeout=PATIENCE_S)
        self._asked = self._got = 0

    def received(self, data: bytes) -> None:
        self._socket.sendall(data)
        self._asked += len(data)
        with self._server.progress:
            if not self._server.progress.wait_for(lambda: self._server.taken >= self._asked, PATIENCE_S):
                raise TimeoutError("the TLS server on loopback does not answer")
            due = self._server.given - self._got
        answer = b""
        while len(answer) < due:
            part = self._socket.recv(due - len(answer))
            if not part:
                break
            answer += part
        self._got += len(answer)
        first = 3 if self._relay.hold_us else len(answer)
        if answer:
            self._peer.reply(answer[:first])
        if answer[first:]:
            self._peer.network.timeline.after(self._relay.hold_us, lambda: self._peer.reply(answer[first:]))

    def closed(self, clean: bool) -> None:
        self._socket.close()
