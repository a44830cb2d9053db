"""A runner for iotcore (rumqttd in a wheel), the second broker of another hand: TLS and passwords, no client certificates, no state on disk."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..authority import Issued
from .mosquitto import HOST, ports_to_try

_CONFIGURATION = """\
id = 0
[router]
id = 0
max_connections = 20
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[v4.1]
name = "gateways"
listen = "{listen}"
next_connection_delay_ms = 1
{tls}
[v4.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 100
dynamic_filters = true
{users}
"""


class Iotcore:
    """One rumqttd on a loopback port, as a child process.

    server    its certificate: the listener speaks TLS and nothing else
    users     name -> password; whoever has none of them is refused

    A context manager. Raises ImportError when created where iotcore is not installed.
    """

    host = HOST

    def __init__(self, *, server: Issued | None = None, users: Mapping[str, str] | None = None) -> None:
        import iotcore

        self._iotcore = iotcore
        self._server, self._users = server, users
        self._folder = tempfile.TemporaryDirectory(prefix="satama-iotcore-")
        self._broker = None
        self.port = 0

    def start(self) -> "Iotcore":
        """Returns when it accepts connections. Raises OSError when no port is free."""
        for port in ports_to_try():
            configuration = Path(self._folder.name, "rumqttd.toml")
            configuration.write_text(self._configuration(port))
            broker = self._iotcore.Broker(config_path=str(configuration))
            try:
                broker.start()
            except OSError:  # taken
                continue
            self._broker, self.port = broker, port
            return self
        raise OSError("no port is free for iotcore")

    def stop(self) -> None:
        """Harmless when stopped already."""
        if self._broker:
            self._broker.stop()
        self._folder.cleanup()

    def __enter__(self) -> "Iotcore":
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _configuration(self, port: int) -> str:
        tls = users = ""
        if self._server:
            certificate, key = self._server.write(Path(self._folder.name), "server")
            tls = f'[v4.1.tls]\ncapath = "{certificate}"\ncertpath = "{certificate}"\nkeypath = "{key}"'
        if self._users:
            rows = [f"{json.dumps(name)} = {json.dumps(password)}" for name, password in self._users.items()]
            users = "[v4.1.connections.auth]\n" + "\n".join(rows)
        return _CONFIGURATION.format(listen=f"{HOST}:{port}", tls=tls, users=users)
