"""`socket` with the ESP32's behaviour (lwIP): setblocking(True) waits for ever, time-outs come in polls of 100 ms."""

import errno
import io
import struct

import link

AF_INET = 2
SOCK_STREAM = 1
SOCK_DGRAM = 2
IPPROTO_TCP = 6
IPPROTO_UDP = 17
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 4
TCP_NODELAY = 1
_FOREVER = 0xFFFFFFFF
_POLL_MS = 100


def getaddrinfo(host, port, *_):
    link.spend("socket_us")
    if not all(part.isdigit() for part in host.split(".")):
        if link.call(66, 0, host.encode()) < 0:
            raise OSError(-202)  # EAI_FAIL
        host = ".".join(str(b) for b in link.data())
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


def _address(address):
    host, port = address[0], address[1]
    return struct.pack("<H", port) + bytes(int(part) for part in host.split("."))


class socket(io.IOBase):
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0):
        self.handle = link.ask(60, kind)
        self._timeout = _FOREVER  # microseconds

    def settimeout(self, seconds):
        if seconds is None:
            self._timeout = _FOREVER
        else:  # lwIP waits whole polls of 100 ms, and one more
            polls = int(seconds * 1000) // _POLL_MS
            self._timeout = (polls + 1) * _POLL_MS * 1000 if seconds else 0

    def setblocking(self, on):
        self._timeout = _FOREVER if on else 0

    def setsockopt(self, *_):
        pass

    def connect(self, address):
        link.spend("socket_us")
        link.ask(61, self.handle, struct.pack("<I", self._timeout) + _address(address))

    def sendto(self, data, address):
        link.spend("socket_us")
        return link.ask(65, self.handle, _address(address) + bytes(data))

    def send(self, data):
        link.spend("socket_us")
        if isinstance(data, str):
            data = data.encode()
        return link.ask(62, self.handle, struct.pack("<I", self._timeout) + bytes(data))

    def sendall(self, data):
        sent = 0
        while sent < len(data):
            sent += self.send(data[sent:])

    def recv(self, limit):
        link.spend("socket_us")
        link.ask(63, self.handle << 16 | min(limit, 65535), struct.pack("<I", self._timeout))
        return link.data()

    def recvfrom(self, limit):
        got = self.recv(limit)
        return got, ("0.0.0.0", 0)

    # the stream protocol: read(n) collects n bytes, None means "would block"

    def write(self, data, length=None):
        if isinstance(data, str):
            data = data.encode()
        data = memoryview(data)[: len(data) if length is None else length]
        sent = 0
        while sent < len(data):
            try:
                sent += self.send(data[sent:])
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                return sent or None
        return sent

    def read(self, limit=-1):
        got = b""
        while limit < 0 or len(got) < limit:
            try:
                part = self.recv(4096 if limit < 0 else limit - len(got))
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                return got or None
            if not part:
                break
            got = got + part if got else part
        return got

    def readinto(self, buf):
        try:
            got = self.recv(len(buf))
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            return None
        buf[: len(got)] = got
        return len(got)

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            part = self.read(1)
            if not part:
                break
            line += part
        return line

    def makefile(self, *_):
        return self

    def ioctl(self, request, arg):
        if request == 3:  # MP_STREAM_POLL
            link.call(2, 0, struct.pack("<HH", self.handle, arg))
            answer = link.data()
            return struct.unpack_from("<HH", answer)[1] if answer else 0
        if request == 4:  # MP_STREAM_CLOSE
            self.close()
        return 0

    def close(self):
        if self.handle:
            link.call(64, self.handle)
            self.handle = 0

    def fileno(self):
        return self.handle
