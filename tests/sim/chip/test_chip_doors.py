"""The doors by pyserial, with an application behind them that echoes."""

import contextlib
import os
import socket
import threading
import time

import pytest
import serial
from chip_lab import MAC, flashed

from satama_sim.chip import Chip, PtyDoor, Rfc2217Door, SocketDoor, served
from satama_sim.timeline import RealClock, Timeline

DOORS = [PtyDoor, SocketDoor, Rfc2217Door]
ALL_BYTES = bytes(range(256))


@pytest.fixture(scope="module")
def flash():
    return flashed("esp32", 4 << 20)


@pytest.fixture
def echo(flash):
    """A chip whose application sends back what it gets."""
    chip = Chip("esp32", flash, MAC)
    chip.to_app = chip.from_app
    return chip


def open_port(door, baud: int = 115200) -> serial.Serial:
    return serial.serial_for_url(door.url, baud, timeout=5)


def converse(port: serial.Serial, data: bytes) -> bytes:
    """What comes back of `data`, after whatever was said before."""
    port.write(data)
    return port.read_until(data)[-len(data) :]


def wait_for(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.parametrize("door", DOORS)
def test_the_application_is_heard_and_hears_every_byte(door, echo):
    with served(echo, door) as one, open_port(one) as port:
        assert converse(port, ALL_BYTES * 3) == ALL_BYTES * 3
    assert echo.mode == "app"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff\xfa\x2c\x01\x00\xff\xf0",  # a baud rate of one byte
        b"\xff\xfa\x2c\xff\xf0",  # an option without its command
        b"\xff\xfa\x2c\x05\xff\xf0",  # a command without its value
        b"\xff\xfa\x2c\x04\x7d\xff\xf0",  # 125 stop bits
        b"\xff\xfa\x2c" + b"x" * 10_000,  # one that never ends
        b"\xff\xfa\xff\xf0\xff\xfd",
        b"\xff\xff\xff\xfb\xff\xfe\xff",
    ],
)
def test_nonsense_in_the_place_of_settings_costs_the_host_its_connection_at_most(nonsense, echo):
    with served(echo, Rfc2217Door) as one:
        port = int(one.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as host, contextlib.suppress(ConnectionError):
            host.sendall(nonsense)
            host.shutdown(socket.SHUT_WR)
            while host.recv(4096):
                pass
        with open_port(one) as again:
            assert converse(again, b"quay") == b"quay"


@pytest.mark.parametrize("door", DOORS)
def test_one_host_after_the_other(door, echo):
    with served(echo, door) as one:
        for word in (b"first", b"second"):
            with open_port(one) as port:
                assert converse(port, word) == word


@pytest.mark.parametrize("door", [SocketDoor, Rfc2217Door])
def test_a_second_host_is_hung_up_on_and_the_first_stays(door, echo):
    with served(echo, door) as one, open_port(one) as port:
        assert converse(port, b"here") == b"here"
        with pytest.raises((serial.SerialException, OSError)), open_port(one) as second:
            second.write(b"hello")
            assert second.read(1) == b"never"
        assert converse(port, b"still") == b"still"


@pytest.mark.parametrize("door", DOORS)
def test_much_output_that_nobody_reads_stops_nothing(door, echo):
    with served(echo, door) as one:
        for _ in range(2000):
            echo.from_app(b"said hours ago" * 20)
        with open_port(one) as port:
            assert converse(port, b"done\n") == b"done\n"
            assert port.read(port.in_waiting) == b""


def test_an_order_to_a_door_that_nobody_serves_is_told(flash, monkeypatch):
    monkeypatch.setattr("satama_sim.chip.door._PATIENCE_S", 0.01)
    door = PtyDoor(Chip("esp32", flash, MAC), RealClock())
    told = []

    def pull() -> None:
        try:
            door.pull()
        except RuntimeError as error:
            told.append(str(error))

    thread = threading.Thread(target=pull)
    thread.start()
    thread.join()
    door.close()
    assert "nobody serves the door" in told[0]


@pytest.mark.parametrize("door", DOORS)
def test_much_output_arrives_whole(door, echo):
    data = os.urandom(50_000) + b"end"
    echo.to_app = lambda _: echo.from_app(data)
    with served(echo, door) as one, open_port(one) as port:
        port.write(b"?")
        assert port.read_until(b"end")[-len(data) :] == data


@pytest.mark.parametrize("door", DOORS)
def test_a_pulled_cable_ends_the_connection_and_comes_back_under_the_same_name(door, echo):
    heard = []
    echo.to_app = heard.append
    with served(echo, door) as one:
        url = one.url
        with open_port(one) as port:
            if door is Rfc2217Door:
                wait_for(lambda: echo.host_baud() == 115200)
            one.cut_after(4)
            with pytest.raises((serial.SerialException, OSError)):
                for _ in range(500):
                    port.write(b"abcdefgh")
                    port.read(1)
        wait_for(lambda: not one.plugged)
        if door is not Rfc2217Door:  # there the settings count, too
            assert b"".join(heard) == b"abcd"
        one.plug_in()
        assert one.url == url
        echo.to_app = echo.from_app
        with open_port(one) as port:
            assert converse(port, b"back") == b"back"


def test_an_unplugged_pty_has_no_name(echo):
    with served(echo, PtyDoor) as one:
        one.pull()
        assert not os.path.lexists(one.url)
        with pytest.raises(serial.SerialException):
            open_port(one)
        one.plug_in()
        one.plug_in()  # once is enough
        with open_port(one) as port:
            assert converse(port, b"back") == b"back"
    assert not os.path.lexists(one.url)


@pytest.mark.parametrize("door", [PtyDoor, Rfc2217Door])
def test_at_another_rate_all_is_noise(door, echo):
    with served(echo, door) as one:
        with open_port(one, 9600) as port:
            if door is Rfc2217Door:
                wait_for(lambda: echo.host_baud() == 9600)
            else:
                wait_for(lambda: one._baud() == 9600)
            echo.from_app(b"hello")
            assert all(byte >= 0x80 for byte in port.read(5))
        with open_port(one) as port:
            assert converse(port, b"hello") == b"hello"


@pytest.mark.parametrize("door", [PtyDoor, SocketDoor])
def test_a_host_that_leaves_the_chip_in_download_mode_starts_it_by_leaving(door, echo):
    with served(echo, door) as one:
        with open_port(one) as port:
            port.write(b"?")
            wait_for(lambda: one.taken)
            one.do(lambda: echo.reset(download=True))
        wait_for(lambda: echo.mode == "app")


@pytest.mark.parametrize("door", DOORS)
def test_a_host_that_leaves_a_running_application_does_not_disturb_it(door, flash):
    starts = []
    chip = Chip("esp32", flash, MAC, on_app=lambda: starts.append("app"))
    chip.to_app = chip.from_app
    with served(chip, door) as one:
        for _ in range(2):
            with open_port(one) as port:
                assert converse(port, b"hello") == b"hello"
    assert starts == ["app"]


def test_a_real_clock_tells_when_a_file_takes_bytes():
    clock, timeline = RealClock(), Timeline()
    clock.start(timeline)
    ours, theirs = os.pipe()
    seen = []
    clock.watch(ours, lambda: None)
    clock.watch_writable(theirs, lambda: (seen.append("takes"), clock.unwatch_writable(theirs)))
    assert clock.wait_until(0)
    assert not clock.wait_until(0)
    assert seen == ["takes"]
    os.close(ours)
    os.close(theirs)
