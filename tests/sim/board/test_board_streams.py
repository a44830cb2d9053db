"""Several streams at once: poll, the console beside the network, asyncio; and what cuts and resets do to connections."""

import errno

from lab import SOCKETS, WIFI_UP, Server, echo


def test_poll_tells_what_is_ready_as_the_port_does(lab):
    board = lab(
        SOCKETS
        + """
fresh = socket.socket()
silent, talking, ending = opened(), opened(), opened()
refused = socket.socket()
refused.setblocking(False)
names = [(fresh, "fresh"), (silent, "silent"), (talking, "talking"), (ending, "ending"), (refused, "refused")]
def name(stream):
    return [label for sock, label in names if sock is stream][0]
poller = select.poll()
for sock, _ in names[1:4]:
    poller.register(sock, select.POLLIN)
talking.write(b"talk")
print("first", [(name(s), e) for s, e in poller.poll()])
talking.recv(99)
ending.write(b"end")
print("second", [(name(s), e) for s, e in poller.poll(1000)])
print("stays", [(name(s), e) for s, e in poller.poll(0)])
poller.unregister(ending)
print("nothing", took(lambda: poller.poll(95)))
poller.modify(silent, select.POLLIN | select.POLLOUT)
print("out", [(name(s), e) for s, e in poller.ipoll(0)])
poller = select.poll()
poller.register(fresh)
print("fresh", [(name(s), e) for s, e in poller.poll(0)])
took(lambda: refused.connect(address(port=81)))
poller = select.poll()
poller.register(refused, select.POLLOUT)
print("refused", [(name(s), e) for s, e in poller.poll()], took(lambda: refused.send(b"x"))[0])
try:
    poller.modify(silent, 1)
except OSError as error:
    print("unknown", error.errno)
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)
    server.on_data = lambda peer, data: peer.reply(b"yes") if data == b"talk" else peer.hang_up()
    board.run(8)
    assert board.said("first") == ["[('talking', 1)]"]
    assert board.said("second") == ["[('ending', 1)]"]
    assert board.said("stays") == ["[('ending', 1)]"]
    (nothing,) = board.said("nothing")
    assert nothing.startswith("([], ") and 95 <= int(nothing[5:-1]) <= 105  # on a scheduler tick
    assert board.said("out") == ["[('silent', 4)]"]
    assert board.said("fresh") == ["[('fresh', 20)]"]
    assert board.said("refused") == ["[('refused', 4)] ECONNRESET"]
    assert board.said("unknown") == ["2"]


def test_the_console_is_polled_beside_sockets(lab):
    board = lab(
        SOCKETS
        + """
import sys
sock = opened()
poller = select.poll()
poller.register(sys.stdin, select.POLLIN)
poller.register(sock, select.POLLIN)
for _ in range(4):
    for stream, event in poller.poll():
        if stream is sock:
            print("net", sock.recv(10), time.ticks_ms() // 100)
        else:
            print("key", repr(sys.stdin.read(1)), time.ticks_ms() // 100)
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)
    board.run(4)
    board.board.send_console(b"ab")
    board.at(1, lambda: server.peers[0].reply(b"wave"))
    board.at(2, lambda: board.board.send_console(b"c"))
    board.run(5)
    assert [row.split()[0] for row in board.said("key")] == ["'a'", "'b'", "'c'"]
    assert board.said("net")[0].startswith("b'wave' ")
    assert [line.split()[0] for line in board.lines] == ["key", "key", "net", "key"]


def test_asyncio_streams(lab):
    board = lab(
        WIFI_UP
        + """
import asyncio
async def talk(name, words):
    reader, writer = await asyncio.open_connection("pier.example", 80)
    for word in words:
        writer.write(word + b"\\n")
        await writer.drain()
        print("echo", name, await reader.readline())
        await asyncio.sleep_ms(300)
    writer.close()
    await writer.wait_closed()
async def refused():
    try:
        reader, writer = await asyncio.open_connection("pier.example", 81)
        writer.write(b"x")
        await writer.drain()
        await reader.read(1)
        print("refused", "not")
    except OSError as error:
        print("refused", error.errno)
async def silent():
    reader, writer = await asyncio.open_connection("quiet.example", 80)
    try:
        await asyncio.wait_for_ms(reader.read(1), 700)
    except asyncio.TimeoutError:
        print("silent", "late")
    print("exactly", await reader.readexactly(6))
    try:
        await reader.readexactly(6)
    except EOFError:
        print("eof", "eof")
async def main():
    await asyncio.gather(talk("a", [b"one", b"two"]), talk("b", [b"uno", b"due", b"tre"]), refused(), silent())
    print("all", "done")
asyncio.run(main())
"""
    )
    board.serve_tcp("pier.example", 80, Server(echo))

    def later(peer):
        board.timeline.after(2_000_000, lambda: peer.reply(b"abc"))
        board.timeline.after(2_500_000, lambda: peer.reply(b"defgh"))
        board.timeline.after(3_000_000, peer.hang_up)

    board.serve_tcp("quiet.example", 80, Server(on_open=later))
    board.run(12)
    assert sorted(board.said("echo")) == [
        "a b'one\\n'",
        "a b'two\\n'",
        "b b'due\\n'",
        "b b'tre\\n'",
        "b b'uno\\n'",
    ]
    assert board.said("refused") == [str(errno.ECONNRESET)]
    assert board.said("silent") == ["late"]
    assert board.said("exactly") == ["b'abcdef'"]
    assert board.said("eof") == ["eof"]
    assert board.said("all") == ["done"]


def test_nothing_is_lost_or_doubled_over_a_cut_of_the_uplink(lab):
    board = lab(
        SOCKETS
        + """
sock = opened()
for number in range(40):
    sock.write(b"%d," % number)
    time.sleep_ms(100)
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)
    board.at(3, lambda: setattr(board.network, "uplink", False))
    board.at(4.7, lambda: setattr(board.network, "uplink", True))
    board.run(10)
    assert bytes(server.got) == b"".join(b"%d," % number for number in range(40))


def test_what_a_board_had_not_got_out_dies_with_it(lab):
    board = lab(
        SOCKETS
        + """
import os
if "once" not in os.listdir("/"):
    open("once", "w").close()
    sock = opened()
    sock.write(b"first ")
    time.sleep(2)
    sock.write(b"held back")
time.sleep(100)
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)
    board.run(3)
    assert bytes(server.got) == b"first "
    board.network.uplink = False
    board.run(3)
    board.power_off()
    board.power_on()
    board.network.uplink = True
    board.run(10)
    assert board.radio.up()
    assert bytes(server.got) == b"first "
    assert server.closed == 0  # the far end hears nothing


def test_a_soft_reset_closes_its_sockets(lab):
    board = lab(
        SOCKETS
        + """
import machine
if machine.reset_cause() == machine.PWRON_RESET:
    opened().write(b"bye")
    machine.soft_reset()
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)
    board.run(8)
    assert bytes(server.got) == b"bye"
    assert server.closed == 1
