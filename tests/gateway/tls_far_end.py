"""A TLS server inside the simulated network: OpenSSL on two memory buffers, no sockets, so it runs under the virtual clock."""

import shutil
import ssl
import subprocess
from pathlib import Path

from satama_sim.pytest_plugin import missing

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """A certificate authority in a folder, run with the openssl program; what it signs is valid by today's wall clock."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        if not shutil.which("openssl"):
            missing("the certificates of these tests are made with the openssl program -> install openssl")
        self._openssl(
            "req", "-x509", *_CURVE, "-subj", f"/CN={folder.name}", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem"
        )
        self.pem = folder / "ca.pem"
        self.der = self._der("ca")

    def issue(self, name: str, days: int = 30) -> tuple[Path, Path]:
        """(certificate, key) as PEM files, for a host or a client of that name."""
        (self.folder / "san").write_text(f"basicConstraints=CA:FALSE\nsubjectAltName=DNS:{name}\n")
        stem = f"{name}{days}"
        self._openssl("req", *_CURVE, "-subj", f"/CN={name}", "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days), "-extfile", "san")
        self._openssl("x509", "-req", "-in", f"{stem}.csr", *signed, "-out", f"{stem}.pem")
        return self.folder / f"{stem}.pem", self.folder / f"{stem}.key"

    def issue_der(self, name: str) -> tuple[bytes, bytes]:
        """The same as DER, as a device keeps them."""
        certificate, key = self.issue(name)
        self._openssl("pkey", "-in", key.name, "-outform", "der", "-out", "key.der")
        return self._der(certificate.stem), (self.folder / "key.der").read_bytes()

    def _der(self, stem: str) -> bytes:
        self._openssl("x509", "-in", f"{stem}.pem", "-outform", "der", "-out", "out.der")
        return (self.folder / "out.der").read_bytes()

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)


class TlsFarEnd:
    """`accept` for the simulated network: TLS ends here, and `accept` of the server behind it sees what is inside."""

    def __init__(self, accept, certificate, clients=None, most_bytes=1 << 20):
        """`certificate`: (certificate, key) as PEM files. `clients`: an Authority of whom clients must have a certificate.

        `most_bytes`: the server's answers come in pieces of so many bytes.
        """
        self.behind, self.most_bytes = accept, most_bytes
        self.failures: list[str] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(clients.pem)

    def __call__(self, peer):
        return _Session(self, peer)


class _Session:
    """Between the board's connection and the server behind: for that server, it is the connection."""

    def __init__(self, end, peer):
        self.end, self.peer = end, peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = end.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._secured = False
        self.session = None

    def received(self, data):
        self._incoming.write(data)
        try:
            if not self._secured:
                self._tls.do_handshake()
                self._secured = True
                self.session = self.end.behind(self)
            while text := self._tls.read(65536):
                self.session.received(text)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.end.failures.append(error.reason or str(error))
            self._flush()
            self.peer.hang_up()
            return
        self._flush()

    def reply(self, data):
        self._tls.write(data)
        self._flush()

    def hang_up(self, error=0):
        self.peer.hang_up(error)

    def _flush(self):
        data, most = self._outgoing.read(), self.end.most_bytes
        for at in range(0, len(data), most):
            self.peer.reply(data[at : at + most])

    def closed(self, clean):
        if self.session:
            self.session.closed(clean)
