"""Sockets with the ESP32's own behaviour: ports/esp32/modsocket.c on lwIP."""

import errno

from lab import SOCKETS, Server, echo


def test_connect_accepted_refused_lost_and_unknown(lab):
    board = lab(
        SOCKETS
        + """
print("open", took(lambda: socket.socket().connect(address())))
print("refused", took(lambda: socket.socket().connect(address(port=81))))
sock = socket.socket()
sock.settimeout(2)
print("lost", took(lambda: sock.connect(("10.99.99.99", 80))))
print("given_up", took(lambda: socket.socket().connect(("10.99.99.99", 80))))
print("unknown", took(lambda: address("nowhere.example")))
print("number", took(lambda: address("10.1.2.3"))[0])
print("cut", "now")
time.sleep(5)
sock = socket.socket()
sock.settimeout(1)
print("no_way", took(lambda: sock.connect(("10.77.1.1", 80))))
print("no_dns", took(address)[0])
"""
    )
    board.serve_tcp("pier.example", 80, Server())
    board.run(28)
    assert board.said("open") == ["(None, 41)"]  # name, SYN and their answers: four times the latency, and two calls
    assert board.said("refused") == ["('ECONNRESET', 41)"]  # as lwIP calls it
    assert board.said("lost") == ["('ETIMEDOUT', 2100)"]
    assert board.said("given_up") == ["('ECONNABORTED', 19000)"]
    assert board.said("unknown")[0].startswith("(-202, 10")
    assert board.said("number") == ["('10.1.2.3', 80)"]
    assert board.said("cut")
    board.network.uplink = False
    board.run(10)
    assert board.said("no_way") == ["('ETIMEDOUT', 1100)"]
    assert board.said("no_dns") == ["-202"]


def test_time_outs_come_in_polls_of_100_ms_and_one_more(lab):
    board = lab(
        SOCKETS
        + """
sock = opened()
for seconds in (0.05, 0.1, 0.25, 1, 2.3):
    sock.settimeout(seconds)
    print("read", seconds, *took(lambda: sock.read(1)))
    print("recv", seconds, *took(lambda: sock.recv(1)))
"""
    )
    board.serve_tcp("pier.example", 80, Server())
    board.run(20)
    assert board.said("read") == [
        "0.05 None 100",
        "0.1 ETIMEDOUT 200",
        "0.25 ETIMEDOUT 300",
        "1 ETIMEDOUT 1100",
        "2.3 ETIMEDOUT 2400",
    ]
    assert board.said("recv")[0] == "0.05 EAGAIN 100"
    assert board.said("recv")[1] == "0.1 ETIMEDOUT 200"


def test_setblocking_true_waits_for_ever_and_takes_the_time_out_away(lab):
    board = lab(
        SOCKETS
        + """
sock = opened(1)
print("bounded", took(lambda: sock.read(1)))
sock.setblocking(True)
print("waiting", "now")
print("for_ever", took(lambda: sock.read(1)))
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)
    board.run(10)
    assert board.said("bounded") == ["('ETIMEDOUT', 1100)"]
    board.run(86_400)
    assert board.said("waiting")
    assert board.said("for_ever") == []
    server.peers[0].reply(b"!")
    board.run(1)
    assert board.said("for_ever")[0].startswith("(b'!', 864")


def test_sockets_that_do_not_block(lab):
    board = lab(
        SOCKETS
        + """
sock = socket.socket()
print("new", took(lambda: sock.recv(1)), took(lambda: sock.send(b"x")))
target = address()
sock.setblocking(False)
print("connect", took(lambda: sock.connect(target)))
print("again", took(lambda: sock.connect(target)))
print("early", took(lambda: sock.send(b"x")), sock.write(b"x"))
time.sleep_ms(100)
print("twice", took(lambda: sock.connect(target)))
print("none", sock.read(5), sock.readinto(bytearray(5)), sock.readline())
print("recv", took(lambda: sock.recv(5)))
print("write", sock.write(b"hello"))
time.sleep_ms(100)
print("part", sock.read(50))
sock.close()
print("closed", took(lambda: sock.recv(5)), took(sock.close))
"""
    )
    board.serve_tcp("pier.example", 80, Server(echo))
    board.run(5)
    assert board.said("new") == ["('ENOTCONN', 0) ('ENOTCONN', 0)"]
    assert board.said("connect") == ["('EINPROGRESS', 0)"]
    assert board.said("again") == ["('EALREADY', 0)"]
    assert board.said("early") == ["('EAGAIN', 0) None"]
    assert board.said("twice") == [f"({errno.EISCONN}, 0)"]  # errno.EISCONN is not in the port's table
    assert board.said("none") == ["None None None"]
    assert board.said("recv") == ["('EAGAIN', 0)"]
    assert board.said("write") == ["5"]
    assert board.said("part") == ["b'hello'"]
    assert board.said("closed") == ["('EBADF', 0) (None, 0)"]


def test_a_write_stops_where_the_window_is_full(lab):
    board = lab(
        SOCKETS
        + """
sock = opened(1)
sock.setblocking(False)
data = bytes(range(250)) * 100
print("some", sock.write(data), sock.write(data), took(lambda: sock.send(data)))
sock.settimeout(1)
print("late", took(lambda: sock.write(data)))
print("send_late", took(lambda: sock.send(data)))
print("cut", "now")
time.sleep(5)
print("all", took(lambda: sock.write(data)))
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)
    board.at(2.9, lambda: None)
    while not board.said("some"):
        board.run(0.001)
        if server.peers:
            board.network.uplink = False
    assert board.said("some") == ["5760 None ('EAGAIN', 0)"]
    board.run(4)
    assert board.said("late")[0].startswith("('ETIMEDOUT', 11")
    assert board.said("send_late")[0].startswith("('ETIMEDOUT', 11")
    assert len(server.got) == 0
    board.network.uplink = True
    board.run(10)
    data = bytes(range(250)) * 100
    assert board.said("all")[0].startswith("(25000, ")
    assert bytes(server.got) == data[:5760] + data


def test_read_collects_and_recv_takes_what_is_there(lab):
    board = lab(
        SOCKETS
        + """
sock = opened(5)
sock.write("go")
print("recv", sock.recv(100))
print("read", took(lambda: sock.read(6)))
buf = bytearray(6)
print("into", took(lambda: sock.readinto(buf)), bytes(buf))
print("line", sock.readline())
print("rest", sock.read())
print("end", sock.read(3), sock.recv(3), sock.readline(), sock.read())
"""
    )
    server = Server()
    board.serve_tcp("pier.example", 80, server)

    def reply(peer, data):
        for delay, part in (
            (0, b"abc"),
            (500_000, b"def"),
            (1_000_000, b"ghi"),
            (1_500_000, b"jkl"),
            (2_000_000, b"mnop\nq"),
            (2_500_000, b"rs"),
        ):
            board.timeline.after(delay, lambda part=part: peer.reply(part))
        board.timeline.after(3_000_000, peer.hang_up)

    server.on_data = reply
    board.run(10)
    assert board.said("recv") == ["b'abc'"]
    word, ms = board.said("read")[0].strip("()").split(", ")
    assert word == "b'defghi'" and 990 <= int(ms) <= 1005
    assert board.said("into")[0].startswith(("(6, 999)", "(6, 1000)"))
    assert board.said("into")[0].endswith("b'jklmno'")
    assert board.said("line") == ["b'p\\n'"]
    assert board.said("rest") == ["b'qrs'"]
    assert board.said("end") == ["b'' b'' b'' b''"]


def test_a_peer_that_closes_or_resets(lab):
    board = lab(
        SOCKETS
        + """
sock = opened(5)
print("end", took(lambda: sock.recv(9))[0], sock.recv(9))
print("first_write", took(lambda: sock.send(b"after the end"))[0])
time.sleep_ms(100)
print("second_write", took(lambda: sock.send(b"again"))[0])
sock = opened(5)
sock.write(b"reset me")
print("reset", took(lambda: sock.recv(9))[0], took(lambda: sock.send(b"x"))[0])
"""
    )
    server = Server()
    server.on_open = lambda peer: board.timeline.after(300_000, peer.hang_up)
    board.serve_tcp("pier.example", 80, server)
    server.on_data = lambda peer, data: peer.hang_up(errno.ECONNRESET)
    board.run(10)
    assert board.said("end") == ["b'' b''"]
    assert board.said("first_write") == ["13"]  # TCP cannot know yet
    assert board.said("second_write") == ["ECONNRESET"]
    assert board.said("reset") == ["ECONNRESET ECONNRESET"]


def test_there_are_ten_sockets_and_no_more(lab):
    board = lab(
        SOCKETS
        + """
socks = []
try:
    while True:
        socks.append(socket.socket())
except OSError as error:
    print("sockets", len(socks), error.errno)
socks.pop().close()
print("another", took(socket.socket)[1])
"""
    )
    board.run(4)
    assert board.said("sockets") == [f"10 {errno.ENFILE}"]
    assert board.said("another") == ["0"]


def test_datagrams_keep_their_borders_and_their_senders(lab):
    board = lab(
        SOCKETS
        + """
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
one, two = address("one.example", 9), address("two.example", 10)
sock.sendto(b"a", one)
sock.sendto(b"b", two)
sock.sendto("named", ("one.example", 9))
time.sleep_ms(200)
print("got", sock.recvfrom(100), sock.recvfrom(2), sock.recv(100))
print("empty", took(lambda: sock.recv(10)))
print("nobody", sock.sendto(b"x", ("10.1.1.1", 1)), took(lambda: sock.recv(10)))
sock.connect(two)
print("connected", sock.send(b"short"), sock.recvfrom(9))
poller = select.poll()
poller.register(sock)
print("poll", poller.poll(0)[0][1])
sock.send(b"again")
print("poll", [event for _, event in poller.poll(500)], "in", [event for _, event in (time.sleep_ms(50), poller.poll(0))[1]])
"""
    )
    board.serve_udp("one.example", 9, lambda data: b"1:" + data)
    board.serve_udp("two.example", 10, lambda data: b"2:" + data)
    board.run(8)
    assert board.said("got") == ["(b'1:a', ('10.77.1.1', 9)) (b'2:', ('10.77.1.2', 10)) b'1:named'"]
    assert board.said("empty") == ["('ETIMEDOUT', 1100)"]
    assert board.said("nobody") == ["1 ('ETIMEDOUT', 1100)"]
    assert board.said("connected") == ["5 (b'2:short', ('10.77.1.2', 10))"]
    assert board.said("poll") == ["4", "[4] in [5]"]


def test_a_server_that_is_known_by_its_address_alone(lab):
    board = lab(
        SOCKETS + "sock = socket.socket()\nsock.connect(('192.168.7.9', 80))\nsock.write(b'x')\ntime.sleep(1)\n"
    )
    server = Server()
    board.serve_tcp("192.168.7.9", 80, server)
    board.run(6)
    assert bytes(server.got) == b"x"


def test_small_writes_wait_for_the_acknowledgement_unless_nodelay_is_set(lab):
    board = lab(
        SOCKETS
        + """
for nodelay in (0, 1):
    sock = opened()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
    for part in (b"a", b"bc", b"def", bytes(1500)):
        sock.write(part)
    time.sleep(1)
    sock.write(b"gh")
    sock.write(b"i")
    sock.close()
"""
    )
    sizes = []
    server = Server()
    server.on_data = lambda peer, data: sizes.append(len(data))
    board.serve_tcp("pier.example", 80, server)
    board.run(10)
    # RFC 896: one small segment under way; a full one goes at once; the end of the connection holds nothing back
    assert sizes == [1, 1440, 65, 2, 1, *(1, 2, 3, 1500), 2, 1]
