"""The broker on real sockets, with paho-mqtt as an independent client."""

import os
import queue
import shutil
import socket
import ssl
import subprocess

import paho.mqtt.client as mqtt
import pytest

from satama_sim.broker import Broker, packets, serve
from satama_sim.broker.serve import BrokerThread, CannotListen

TIMEOUT_S = 20
HELLO = packets.encode_connect(packets.Connect("raw", clean_session=False))


class PahoClient:
    """A paho client with its network loop in a thread; incoming events wait in queues."""

    def __init__(self, port: int, client_id: str, ca_file: str | None = None) -> None:
        self.connected, self.granted, self.messages = queue.Queue(), queue.Queue(), queue.Queue()
        self.paho = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, clean_session=False)
        self.paho.on_connect = lambda client, data, flags, code, properties: self.connected.put(flags.session_present)
        self.paho.on_subscribe = lambda client, data, mid, codes, properties: self.granted.put(codes)
        self.paho.on_message = lambda client, data, message: self.messages.put(message)
        if ca_file is not None:
            self.paho.tls_set(ca_file)
        self.paho.connect("localhost" if ca_file else "127.0.0.1", port)
        self.paho.loop_start()
        self.session_present = self.connected.get(timeout=TIMEOUT_S)

    def subscribe(self, topic_filter: str) -> None:
        self.paho.subscribe(topic_filter, 1)
        self.granted.get(timeout=TIMEOUT_S)

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the PUBACK."""
        self.paho.publish(topic, payload, 1, retain).wait_for_publish(TIMEOUT_S)

    def next_message(self) -> tuple[str, bytes, int, bool]:
        message = self.messages.get(timeout=TIMEOUT_S)
        return message.topic, message.payload, message.qos, message.retain

    def __enter__(self) -> "PahoClient":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


def open_socket(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)


def raw_connection(port: int, connect: bytes = HELLO) -> socket.socket:
    """A socket whose CONNECT was accepted."""
    sock = open_socket(port)
    sock.sendall(connect)
    assert sock.recv(4)[:1] == b"\x20"
    return sock


def test_paho_clients_exchange_messages_through_it():
    seen = []
    with BrokerThread(on_publish=seen.append) as broker:
        port = broker.port
        with PahoClient(port, "publisher") as publisher, PahoClient(port, "subscriber") as subscriber:
            publisher.publish("site/state", b"online", retain=True)
            subscriber.subscribe("site/#")
            assert subscriber.next_message() == ("site/state", b"online", 1, True)
            publisher.publish("site/d/1", bytes(100_000))
            assert subscriber.next_message() == ("site/d/1", bytes(100_000), 1, False)
    assert [(message.topic, message.client_id) for message in seen] == [
        ("site/state", "publisher"),
        ("site/d/1", "publisher"),
    ]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for localhost and its key: (certificate file, key file)."""
    if shutil.which("openssl") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("openssl makes the certificate: install it")
    folder = tmp_path_factory.mktemp("tls")
    files = str(folder / "certificate.pem"), str(folder / "key.pem")
    request = [
        "openssl",
        "req",
        "-x509",
        "-nodes",
        "-days",
        "2",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*request, *subject, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


def test_it_serves_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with BrokerThread(ssl_context=context) as broker, PahoClient(broker.port, "gw", certificate[0]) as client:
        client.subscribe("t")
        client.publish("t", b"secret")
        assert client.next_message() == ("t", b"secret", 1, False)


def test_a_busy_port_is_reported_in_a_sentence_and_the_program_goes_on():
    with BrokerThread() as first:
        with pytest.raises(OSError, match=f"cannot listen on port {first.port} of 127.0.0.1: it is in use") as refusal:
            BrokerThread(port=first.port).start()
        assert isinstance(refusal.value, CannotListen)
        raw_connection(first.port).close()


def test_an_address_of_another_machine_is_reported_in_a_sentence():
    with pytest.raises(CannotListen, match="no such address"):
        BrokerThread(host="192.0.2.1").start()


def test_calls_run_in_the_brokers_thread_and_what_they_cause_is_sent(monkeypatch):
    monkeypatch.setattr(serve, "_TICK_S", 3600)  # the server's regular look must not help
    with BrokerThread() as broker:
        with raw_connection(broker.port) as sock:
            sock.sendall(packets.encode_subscribe(1, [("t", 0)]))
            assert sock.recv(5) == b"\x90\x03\x00\x01\x00"
            broker.call(lambda core, now_us: core.publish("t", b"x", now_us=now_us))
            assert sock.recv(6) == b"\x30\x04\x00\x01tx"
            with pytest.raises(ValueError, match="QoS must be 0 or 1"):
                broker.call(lambda core, now_us: core.publish("t", b"x", qos=3))
            broker.call(lambda core, now_us: core.sever_all(now_us))
            assert sock.recv(1) == b""
        raw_connection(broker.port).close()


def test_calling_from_inside_a_hook_or_when_stopped_is_refused():
    refusals = queue.Queue()

    def on_publish(message):
        try:
            broker.call(lambda core, now_us: None)
        except RuntimeError as refusal:
            refusals.put(str(refusal))

    broker = BrokerThread(on_publish=on_publish)
    with broker, PahoClient(broker.port, "gw") as client:
        client.publish("t", b"x")
        assert "inside on_publish" in refusals.get(timeout=TIMEOUT_S)
        with pytest.raises(RuntimeError, match="running already"):
            broker.start()
    broker.stop()
    with pytest.raises(RuntimeError, match="not running"):
        broker.call(lambda core, now_us: None)


def test_stopped_and_started_again_it_has_the_same_port_and_sessions():
    seen = []
    broker = BrokerThread(on_publish=seen.append)
    will = packets.Will("w", b"never: the broker itself has gone")
    with broker:
        port = broker.port
        sock = raw_connection(port, packets.encode_connect(packets.Connect("raw", False, will=will)))
    with sock:
        assert sock.recv(1) == b""
    assert seen == []
    with broker, open_socket(port) as again:
        assert broker.port == port
        again.sendall(HELLO)
        assert again.recv(4) == b"\x20\x02\x01\x00"


def test_a_silent_client_is_closed_by_the_server_itself():
    with BrokerThread(Broker(connect_timeout_s=0)) as broker, open_socket(broker.port) as sock:
        assert sock.recv(1) == b""


def test_a_client_that_does_not_read_is_cut_off(monkeypatch):
    monkeypatch.setattr(serve, "_MAX_UNSENT_BYTES", 100_000)
    with BrokerThread() as broker, raw_connection(broker.port) as sock:
        sock.sendall(packets.encode_subscribe(1, [("t", 0)]))
        assert sock.recv(5)[:1] == b"\x90"
        for _ in range(64):  # loopback buffers hold some megabytes
            broker.call(lambda core, now_us: core.publish("t", bytes(1_000_000)))
        received = 0
        while piece := sock.recv(1 << 20):
            received += len(piece)
        assert received < 64_000_000


def test_hostile_bytes_close_only_their_own_connection():
    with BrokerThread() as broker, raw_connection(broker.port) as good:
        with open_socket(broker.port) as bad:
            bad.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # TLS on a plain port
            assert bad.recv(1) == b""
        good.sendall(packets.PINGREQ_PACKET)
        assert good.recv(2) == packets.PINGRESP_PACKET
