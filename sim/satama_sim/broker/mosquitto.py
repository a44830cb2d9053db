"""A runner for real mosquitto, the independent check: start, kill -9, restart on the same port with its state, stop.

It runs with the settings under which mosquitto keeps what it acknowledged (it acknowledges before it writes, so the
last message before a kill may still be lost): persistence, saved after each change, and no limit of queued messages.
"""

import base64
import contextlib
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ..authority import Authority, Issued

HOST = "127.0.0.1"

# Below the ports that systems hand out to outgoing connections: there, a client that retries while the broker is down
# can end up connected to itself, and the broker can find its port taken at a restart.
_PORTS = range(15_000, 32_000)
_PORT_ATTEMPTS = 20
_EXTRA_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_START_TIMEOUT_S = 20
_STOP_TIMEOUT_S = 20
_POLL_S = 0.005
_HASH_ROUNDS = 101  # the default of mosquitto_passwd


class MosquittoError(RuntimeError):
    """mosquitto cannot be run; the message is a sentence, with mosquitto's own log where there is one."""


class MosquittoMissing(MosquittoError):
    """mosquitto is not installed; the message says how to get it."""


def find_mosquitto() -> str:
    """Return the executable's path. Raises MosquittoMissing."""
    folders = [os.environ.get("PATH", os.defpath), *_EXTRA_FOLDERS]
    executable = shutil.which("mosquitto", path=os.pathsep.join(folders))
    if executable is None:
        raise MosquittoMissing(
            "mosquitto is not installed: `apt-get install mosquitto` (Debian, Ubuntu), `dnf install mosquitto` "
            "(Fedora) or `brew install mosquitto` (macOS) brings it"
        )
    return executable


def ports_to_try() -> list[int]:
    """A few, in random order."""
    # Not the seeded generator of the tests: two runs side by side would try the same ports.
    return random.SystemRandom().sample(_PORTS, _PORT_ATTEMPTS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class Mosquitto:
    """One mosquitto on a loopback port, with its configuration, state and log in a temporary directory.

    host, port   where it listens; `port` is 0 before the first start and stays the same over restarts

    A context manager: `with Mosquitto() as broker:` starts and stops it. Raises MosquittoMissing when created.
    """

    host = HOST

    def __init__(
        self, *, server: Issued | None = None, clients: Authority | None = None, users: Mapping[str, str] | None = None
    ) -> None:
        """
        server    its certificate: the listener speaks TLS and nothing else
        clients   whoever has no certificate of that CA is refused
        users     name -> password; whoever has none of them is refused
        """
        self._executable = find_mosquitto()
        self._server, self._clients, self._users = server, clients, users
        self._process: subprocess.Popen | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="satama-mosquitto-")
        self.port = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What mosquitto has written so far, over all its starts."""
        log_file = Path(self._folder.name, "log")
        return log_file.read_text(errors="replace") if log_file.exists() else ""

    def start(self) -> "Mosquitto":
        """Start on a free port, or on the one it had before; return when it accepts connections."""
        if self.running:
            raise MosquittoError("mosquitto is running already")
        if self.port:
            if not self._launch(self.port):
                raise MosquittoError(f"mosquitto does not start on port {self.port} again:\n{self.log}")
            return self
        for port in ports_to_try():
            if self._launch(port):
                self.port = port
                return self
        log = self.log
        self.stop()
        raise MosquittoError(f"mosquitto does not start:\n{log}")

    def kill(self) -> None:
        """kill -9: what it has not saved is lost, no Will is published."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: the process is there, but answers nothing any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def present(self, server: Issued) -> None:
        """Another certificate from the next start on."""
        self._server = server

    def restart(self) -> None:
        """Start again on the same port with the persisted state; if it still runs, end it in good order first."""
        self._terminate()
        self.start()

    def stop(self) -> None:
        """End it in good order and remove its files; harmless when stopped already."""
        self._terminate()
        self._folder.cleanup()

    def __enter__(self) -> "Mosquitto":
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _terminate(self) -> None:
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def _launch(self, port: int) -> bool:
        """Start on `port`; False where another program has it, or if mosquitto ends at once."""
        if not _is_free(port):  # else the check below would find that program
            return False
        folder = Path(self._folder.name)
        configuration = folder / "mosquitto.conf"
        configuration.write_text(self._configuration(port))
        with open(folder / "log", "ab") as log_file:
            self._process = subprocess.Popen(
                [self._executable, "-c", str(configuration)], stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.running:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                return self.running
            if time.monotonic() > deadline:
                self.kill()
                raise MosquittoError(f"mosquitto opens no port within {_START_TIMEOUT_S} s:\n{self.log}")
            time.sleep(_POLL_S)
        return False

    def _configuration(self, port: int) -> str:
        lines = [
            f"listener {port} {HOST}",
            f"allow_anonymous {'false' if self._users else 'true'}",
            "set_tcp_nodelay true",
            "persistence true",
            f"persistence_location {self._folder.name}/",
            "autosave_on_changes true",
            "autosave_interval 1",
            "max_queued_messages 0",
            "log_dest stderr",
        ]
        lines += self._security()
        if os.geteuid() == 0:
            lines.insert(0, "user root")  # else it drops its rights and cannot write into the temporary directory
        return "\n".join(lines) + "\n"

    def _security(self) -> list[str]:
        """Lines of the configuration; writes the files that they name."""
        folder, lines = Path(self._folder.name), []
        if self._server:
            certificate, key = self._server.write(folder, "server")
            lines += [f"certfile {certificate}", f"keyfile {key}"]
        if self._clients:
            (folder / "clients.pem").write_bytes(self._clients.issued.certificate_bytes())
            lines += [f"cafile {folder}/clients.pem", "require_certificate true"]
        if self._users:
            rows = [f"{name}:{_password_hash(password)}\n" for name, password in self._users.items()]
            (folder / "passwords").write_text("".join(rows))
            (folder / "passwords").chmod(0o600)
            lines.append(f"password_file {folder}/passwords")
        return lines


def _password_hash(password: str) -> str:
    """As mosquitto_passwd writes it: PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _HASH_ROUNDS)
    return f"$7${_HASH_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
