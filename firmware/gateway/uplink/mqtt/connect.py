"""The CONNECT packet. Wanted at a connect only, and let go of afterwards."""

from umqtt import simple


def packet_of(client):
    """The CONNECT packet as umqtt makes it, whatever its version and the signature of its connect(); `client`: a client.Client.

    Where the broker must not send us anything any more, it is to forget what an earlier connection asked for; what we send does not
    need its memory (session.py).
    """
    is_deaf = client.renewal is not None and client.renewal.is_deaf
    recorder = _Recorder()
    before, simple.socket = simple.socket, recorder
    try:
        client.connect(clean_session=is_deaf)
    finally:
        simple.socket = before
        client.sock = None
    return recorder.written


class _Recorder:
    """In the place of umqtt's module `socket` and of its sockets: takes the CONNECT packet, and says yes."""

    def __init__(self):
        self.written = bytearray()

    def socket(self, *_):
        return self

    def getaddrinfo(self, *_):
        return ((0, 0, 0, "", None),)

    def write(self, data, size=None):
        self.written.extend(data if size is None else memoryview(data)[:size])

    def read(self, size):
        return b"\x20\x02\0\0"  # CONNACK: accepted

    def settimeout(self, *_):
        pass

    setblocking = connect = close = settimeout
