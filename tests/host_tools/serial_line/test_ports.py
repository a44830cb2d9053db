import errno
import os
import pty
import socket
import threading
import tty

import pytest
import serial

from satama.serial_line import ports
from satama.serial_line.ports import PortError, open_port


@pytest.fixture
def terminal():
    """A pty: (descriptor of the device's end, name of the host's)."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    for descriptor in (ours, theirs):
        os.close(descriptor)


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def _address(server):
    return f"127.0.0.1:{server.getsockname()[1]}"


def _refused(url, **options):
    with pytest.raises(PortError) as caught:
        open_port(url, **options)
    return str(caught.value)


def test_what_is_sent_arrives_and_the_other_way_round(terminal):
    device, name = terminal
    with open_port(name) as port:
        port.write(b"to the device")
        assert os.read(device, 100) == b"to the device"
        os.write(device, b"back")
        assert port.read(4) == b"back"


def test_no_line_is_raised_before_the_port_opens(monkeypatch):
    """DTR and RTS up at opening would reset the board or hold it in its boot loader."""
    seen = []

    class Fake:
        dtr = rts = True

        def open(self):
            seen.append((self.dtr, self.rts, self.baudrate, self.exclusive))

    monkeypatch.setattr(serial, "serial_for_url", lambda url, do_not_open: Fake())
    open_port("COM3", 9600)
    assert seen == [(False, False, 9600, True)]


def test_a_port_in_use_is_told(terminal):
    with open_port(terminal[1]):
        assert "another program uses" in _refused(terminal[1])


@pytest.mark.parametrize(
    "url, words",
    [
        ("/dev/there-is-none", "there is no port /dev/there-is-none -> plug the cable in"),
        ("COM9", "there is no port COM9"),
        ("", "the name of the port is missing"),
        ("/", "is not a serial port"),
        ("telepathy://host:1", "ports are not reached by telepathy://"),
        ("socket://localhost", "write it like socket://192.168.1.20:4000"),
        ("socket://localhost:many", "is not the address of a port"),
        ("socket://localhost:99999", "is not the address of a port"),
        ("rfc2217://:4000", "write it like rfc2217://"),
    ],
)
def test_names_that_lead_nowhere(url, words):
    told = _refused(url)
    assert words in told and " -> " in told


def test_a_speed_that_the_port_does_not_know(terminal):
    assert "does not know this speed" in _refused(terminal[1], baud=-1)


def test_nobody_listens(server):
    address = _address(server)
    server.close()
    assert f"nobody listens at {address}" in _refused(f"socket://{address}")


def test_a_server_that_does_not_speak_rfc2217(server):
    def echo():
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"login: ")
            while peer.recv(100):
                pass

    threading.Thread(target=echo, daemon=True).start()
    assert "does not speak RFC 2217" in _refused(f"rfc2217://{_address(server)}")


@pytest.mark.parametrize(
    "platform, error, words",
    [
        ("linux", serial.SerialException(errno.EACCES, "could not open port"), "join the group that owns it"),
        (
            "win32",
            serial.SerialException("could not open port 'COM3': PermissionError(13, 'denied')"),
            "another program",
        ),
        ("win32", serial.SerialException("could not open port 'COM3': FileNotFoundError(2, 'no')"), "there is no port"),
        ("win32", serial.SerialException("could not open port 'COM3': OSError(22, 'A device')"), "its driver"),
        ("linux", serial.SerialException("strange"), "strange -> check the name and the cable"),
    ],
)
def test_what_other_systems_say(monkeypatch, platform, error, words):
    monkeypatch.setattr("sys.platform", platform)
    assert words in ports.sentence("COM3", error)


def test_a_cable_that_is_pulled_is_told(server):
    url = f"socket://{_address(server)}"
    with open_port(url) as port:
        server.accept()[0].close()
        with pytest.raises(PortError, match=r"the connection to .* broke -> "), ports.told(url):
            while True:
                port.read(1)


def test_ports_on_usb_come_first(monkeypatch):
    class Listed:
        def __init__(self, device, vid, pid):
            self.device, self.vid, self.pid, self.description, self.serial_number = device, vid, pid, "n/a", None

    listed = [Listed("/dev/ttyS0", None, None), Listed("/dev/ttyUSB1", 0x10C4, 0xEA60), Listed("/dev/ttyUSB0", 1, 2)]
    monkeypatch.setattr(ports.list_ports, "comports", lambda: listed)
    found = ports.find_ports()
    assert [port.name for port in found] == ["/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/ttyS0"]
    assert [port.likely for port in found] == [True, True, False]
    assert (found[1].usb, found[1].what) == ("10C4:EA60", "CP2102 or CP2104 bridge")
