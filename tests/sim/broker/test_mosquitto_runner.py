"""The runner of real mosquitto: its state survives a kill -9, its port stays, what goes wrong is said."""

import socket

import pytest

from satama_sim.broker import mosquitto as runner
from satama_sim.broker import packets
from satama_sim.broker.mosquitto import Mosquitto, MosquittoError, MosquittoMissing
from satama_sim.pytest_plugin import missing

SUBSCRIBER = packets.encode_connect(packets.Connect("subscriber", clean_session=False))


def open_socket(broker: Mosquitto) -> socket.socket:
    return socket.create_connection((broker.host, broker.port), timeout=20)


def exchange(sock: socket.socket, request: bytes, answer_size: int) -> bytes:
    sock.sendall(request)
    answer = b""
    while len(answer) < answer_size and (more := sock.recv(answer_size - len(answer))):
        answer += more
    return answer


def test_state_survives_a_kill_and_the_port_stays(mosquitto):
    port = mosquitto.port
    with open_socket(mosquitto) as sock:
        assert exchange(sock, SUBSCRIBER, 4) == b"\x20\x02\x00\x00"
        assert exchange(sock, packets.encode_subscribe(1, [("t", 1)]), 5) == b"\x90\x03\x00\x01\x01"
        exchange(sock, packets.DISCONNECT_PACKET, 1)
    with open_socket(mosquitto) as sock:
        exchange(sock, packets.encode_connect(packets.Connect("publisher")), 4)
        for number in range(1, 5):  # the last one may be acknowledged and not yet on disk
            publish = packets.encode_publish("t", b"%d" % number, 1, packet_id=number)
            assert exchange(sock, publish, 4) == packets.encode_puback(number)
    mosquitto.kill()
    assert not mosquitto.running
    with pytest.raises(ConnectionRefusedError):
        open_socket(mosquitto)
    mosquitto.restart()
    assert mosquitto.port == port
    with open_socket(mosquitto) as sock:
        expected = [packets.encode_publish("t", b"%d" % number, 1, packet_id=number) for number in (1, 2, 3)]
        answer = exchange(sock, SUBSCRIBER, 4 + sum(map(len, expected)))
        assert answer == b"\x20\x02\x01\x00" + b"".join(expected)


def test_a_running_one_can_be_restarted_and_stopped_twice(mosquitto):
    before = mosquitto.log.count("starting")
    mosquitto.restart()
    assert mosquitto.running
    assert (before, mosquitto.log.count("starting")) == (1, 2)
    with pytest.raises(MosquittoError, match="running already"):
        mosquitto.start()
    mosquitto.stop()
    mosquitto.stop()
    assert not mosquitto.running


def test_two_run_side_by_side(mosquitto):
    with Mosquitto() as other:
        assert other.port != mosquitto.port
        assert other.running


def test_where_a_port_is_taken_the_next_one_is_tried(mosquitto, monkeypatch):
    ports = [mosquitto.port, *runner.ports_to_try()]
    monkeypatch.setattr(runner, "ports_to_try", lambda: ports)
    with Mosquitto() as other:
        assert other.port in ports[1:]


def test_a_port_taken_by_another_program_stops_a_restart(mosquitto):
    mosquitto.kill()
    refusal = pytest.raises(MosquittoError, match=f"does not start on port {mosquitto.port} again")
    with socket.create_server((mosquitto.host, mosquitto.port)), refusal:
        mosquitto.restart()
    mosquitto.restart()
    assert mosquitto.running


def test_a_mosquitto_that_ends_at_once_is_reported_with_its_log(mosquitto, monkeypatch):
    monkeypatch.setattr(Mosquitto, "_configuration", lambda self, port: "no_such_setting 1\n")
    with pytest.raises(MosquittoError, match="no_such_setting"):
        Mosquitto().start()


def test_a_missing_mosquitto_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setattr(runner.shutil, "which", lambda name, path: None)
    with pytest.raises(MosquittoMissing, match="apt-get install mosquitto"):
        Mosquitto()


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_component_skips_a_test_and_fails_it_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no mosquitto here"):
        missing("no mosquitto here")
