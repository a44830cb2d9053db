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
_POLL_US = 100000  # lwIP is asked in steps of that; SOCKET_POLL_US of the port's modsocket.c


def getaddrinfo(host, port, *_):
    link.spend("socket_us")
    return [(AF_INET, SOCK_STREAM, 0, "", (_dotted(_resolve(host)), port))]


def _resolve(host):
    parts = host.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return bytes(int(part) for part in parts)
    if link.call(66, 0, host.encode()) < 0:
        raise OSError(-202)  # EAI_FAIL
    return link.data()


def _dotted(address):
    return ".".join(str(byte) for byte in address)


def _packed(address):
    return struct.pack("<H", address[1]) + _resolve(address[0])


class socket(io.IOBase):
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0):
        self.handle = link.ask(60, kind)
        self._stream = kind == SOCK_STREAM
        self._timeout = _FOREVER  # microseconds

    def settimeout(self, seconds):
        if seconds is None:
            self._timeout = _FOREVER
        else:  # whole polls, and one more
            ms = round(seconds * 1000)  # alike with 32-bit and 64-bit floats
            self._timeout = (ms * 1000 // _POLL_US + 1) * _POLL_US if ms else 0

    def setblocking(self, on):
        self._timeout = _FOREVER if on else 0

    def setsockopt(self, level, option, value=0):
        if level == IPPROTO_TCP and option == TCP_NODELAY:
            link.ask(67, self.handle << 1 | (value != 0))

    def _ask(self, op, arg, data=b""):
        result = link.call(op, arg, struct.pack("<I", self._timeout) + data)
        if result == -errno.ETIMEDOUT and self._timeout == _POLL_US:
            result = -errno.EAGAIN  # a time-out below one poll
        if result < 0:
            raise OSError(-result)
        return result

    def connect(self, address):
        link.spend("socket_us")
        packed = _packed(address)
        link.ask(61, self.handle, struct.pack("<I", self._timeout) + packed)

    def sendto(self, data, address):
        link.spend("socket_us")
        return link.ask(65, self.handle, _packed(address) + _bytes(data))

    def _send_some(self, data):
        link.spend("socket_us")
        return self._ask(62, self.handle, bytes(data))

    def send(self, data):
        """All of it, unless the socket does not block or a time-out passes in the middle."""
        data = memoryview(_bytes(data))
        sent = self._send_some(data)
        while self._timeout and sent < len(data):
            try:
                sent += self._send_some(data[sent:])
            except OSError as error:
                if error.errno not in (errno.ETIMEDOUT, errno.EAGAIN):
                    raise
                break
        return sent

    def sendall(self, data):
        if self.send(data) < len(_bytes(data)):
            raise OSError(errno.ETIMEDOUT)

    def recv(self, limit):
        return self.recvfrom(limit)[0] if not self._stream else self._receive(limit)

    def recvfrom(self, limit):
        got = self._receive(limit)
        if self._stream:
            return got, ("0.0.0.0", 0)
        return got[6:], (_dotted(got[2:6]), struct.unpack("<H", got)[0])

    def _receive(self, limit):
        link.spend("socket_us")
        self._ask(63, self.handle << 16 | min(limit, 65535))
        return link.data()

    # the stream protocol: read(n) collects n bytes, None means "would block"

    def write(self, data, length=None):
        data = memoryview(_bytes(data))
        if length is not None:
            data = data[:length]
        sent = 0
        while sent < len(data):
            try:
                sent += self._send_some(data[sent:])
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

    def readinto(self, buf, limit=None):
        got = self.read(len(buf) if limit is None else min(limit, len(buf)))
        if got is None:
            return None
        buf[: len(got)] = got
        return len(got)

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            part = self.read(1)
            if not part:
                return line or part
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


def _bytes(data):
    return data.encode() if isinstance(data, str) else data


class Lower(io.IOBase):
    """A socket as C code uses it (TLS): one system call at a time, errors as negative numbers."""

    def __init__(self, sock):
        self._socket = sock
        self.setblocking = sock.setblocking
        self.ioctl = sock.ioctl

    def readinto(self, buf):
        try:
            got = self._socket.recv(len(buf))
        except OSError as error:
            return -error.errno
        buf[: len(got)] = got
        return len(got)

    def write(self, data):
        try:
            return self._socket._send_some(data)
        except OSError as error:
            return -error.errno
