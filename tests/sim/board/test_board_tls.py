"""The VM's own mbedTLS over the simulated socket, against OpenSSL on loopback."""

from collections.abc import Iterator

import pytest
from lab import WIFI_UP
from tls_server import Certificates, FrozenTlsRelay, TlsEcho

NAME = "pier.example"

TALK = (
    WIFI_UP
    + """
import socket, ssl
def handshake(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=open(authority, "rb").read())
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("pier.example", 8883)[0][-1])
    sock.settimeout(5)
    start = time.ticks_ms()
    try:
        secure = context.wrap_socket(sock, server_hostname=name)
    except (OSError, ValueError) as error:
        print("refused", name, authority, error)
        sock.close()
        return None
    print("secured", name, time.ticks_diff(time.ticks_ms(), start))
    return secure
"""
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("right"), NAME)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("foreign"), NAME)


@pytest.fixture
def server(certificates: Certificates) -> Iterator[TlsEcho]:
    one = TlsEcho(certificates)
    yield one
    one.close()


@pytest.fixture
def tls_lab(lab, server, certificates, foreign):
    def build(main: str):
        board = lab(main, {"right.der": certificates.authority, "foreign.der": foreign.authority})
        board.relay = FrozenTlsRelay(server)
        board.serve_tcp(NAME, 8883, board.relay)
        return board

    return build


def test_the_right_authority_and_the_right_name_are_accepted(tls_lab, server):
    board = tls_lab(
        TALK
        + """
secure = handshake("right.der", "pier.example")
print("wrote", secure.write(b"moored"))
print("read", secure.read(6))
secure.write(bytes(9000))
print("long", len(secure.read(9000)))
secure.close()
"""
    )
    board.run(20)
    assert board.said("refused") == []
    name, ms = board.said("secured")[0].split()
    assert board.costs["tls_handshake_us"] // 1000 <= int(ms) < board.costs["tls_handshake_us"] // 1000 + 500
    assert board.said("wrote") == ["6"]
    assert board.said("read") == ["b'MOORED'"]
    assert board.said("long") == ["9000"]
    assert bytes(server.heard) == b"moored" + bytes(9000)
    assert server.failures == []


def test_a_wrong_name_and_a_wrong_authority_are_refused(tls_lab, server):
    board = tls_lab(
        TALK
        + """
handshake("right.der", "other.example")
handshake("foreign.der", "pier.example")
secure = handshake("right.der", "pier.example")
secure.write(b"still here")
print("read", secure.read(10))
"""
    )
    board.run(30)
    wrong_name, wrong_authority = board.said("refused")
    assert wrong_name.startswith("other.example right.der ")
    assert wrong_authority.startswith("pier.example foreign.der ")
    assert board.said("read") == ["b'STILL HERE'"]
    assert bytes(server.heard) == b"still here"


def test_a_tls_stream_is_polled_and_read_by_asyncio(tls_lab):
    board = tls_lab(
        TALK
        + """
import asyncio, select
secure = handshake("right.der", "pier.example")
poller = select.poll()
poller.register(secure, select.POLLIN)
print("empty", poller.poll(0))
secure.write(b"two words")
print("ready", poller.poll(1000)[0][0] is secure)
print("one", secure.read(3))
print("buffered", len(poller.poll(0)))  # decoded already, nothing comes from the network any more
print("other", secure.read(6))
async def main():
    secure.setblocking(False)
    reader, writer = asyncio.StreamReader(secure), asyncio.StreamWriter(secure, {})
    for word in (b"stream\\n", b"again\\n"):
        writer.write(word)
        await writer.drain()
        print("line", await reader.readline())
    try:
        await asyncio.wait_for_ms(reader.read(1), 300)
    except asyncio.TimeoutError:
        print("late", "yes")
asyncio.run(main())
"""
    )
    board.run(20)
    assert board.said("empty") == ["[]"]
    assert board.said("ready") == ["True"]
    assert board.said("one") == ["b'TWO'"]
    assert board.said("buffered") == ["1"]
    assert board.said("other") == ["b' WORDS'"]
    assert board.said("line") == ["b'STREAM\\n'", "b'AGAIN\\n'"]
    assert board.said("late") == ["yes"]


def test_a_read_over_tls_has_the_time_out_of_the_socket_under_it(tls_lab):
    board = tls_lab(
        TALK
        + """
secure = handshake("right.der", "pier.example")
start = time.ticks_ms()
try:
    secure.read(1)
except OSError as error:
    print("late", error.errno, time.ticks_diff(time.ticks_ms(), start))
"""
    )
    board.run(20)
    (late,) = board.said("late")
    assert late.split()[1] in ("5100", "5101")


PIECES = (
    TALK
    + """
secure = handshake("right.der", "pier.example")
time.sleep(1)
secure.write(b"patience")
for _ in range(2):
    try:
        print("read", secure.read(8))
        break
    except OSError as error:
        print("late", error.errno)
        time.sleep(5)
"""
)


def test_a_record_may_come_in_pieces(tls_lab):
    board = tls_lab(PIECES)
    while not board.said("secured"):
        board.run(0.1)
    board.relay.hold_us = 3_000_000
    board.run(20)
    assert board.said("read") == ["b'PATIENCE'"]


def test_after_a_time_out_a_tls_socket_is_dead(tls_lab):
    board = tls_lab(PIECES)
    while not board.said("secured"):
        board.run(0.1)
    board.relay.hold_us = 7_000_000
    board.run(20)
    assert board.said("read") == []
    assert len(board.said("late")) == 2  # the answer is there by then, but mbedTLS remembers its error
