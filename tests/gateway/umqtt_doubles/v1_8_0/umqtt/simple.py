"""A double of umqtt.simple 1.8.0: its names and signatures, connect() with a time-out, and a socket that was open before is closed.

Its own publish() and wait_msg() are traps: the gateway must never use them.
"""

import socket
import struct


class MQTTException(Exception):
    pass


class MQTTClient:
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None, ssl_params=None):
        self.client_id, self.server, self.port, self.ssl = client_id, server, port or (8883 if ssl else 1883), ssl
        self.user, self.pswd, self.keepalive, self.ssl_params = user, password, keepalive, ssl_params
        self.sock = self.cb = self.lw_topic = self.lw_msg = None
        self.pid = self.lw_qos = 0
        self.lw_retain = False

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        self.lw_topic, self.lw_msg, self.lw_qos, self.lw_retain = topic, msg, qos, retain

    def connect(self, clean_session=True, timeout=None):
        if self.sock:
            self.sock.close()
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        self.sock.connect(socket.getaddrinfo(self.server, self.port)[0][-1])
        if self.ssl:
            self.sock = self.ssl.wrap_socket(self.sock, server_hostname=self.server)
        return self._shake_hands(clean_session)

    def _shake_hands(self, clean_session):
        flags = clean_session << 1
        fields = [self.client_id]
        if self.lw_topic:
            flags |= 4 | self.lw_qos << 3 | self.lw_retain << 5
            fields += [self.lw_topic, self.lw_msg]
        if self.user:
            flags |= 0xC0
            fields += [self.user, self.pswd]
        left = 10 + sum([2 + len(field) for field in fields])
        head = bytearray(6)
        head[0] = 0x10
        at = 1
        while left > 0x7F:
            head[at] = left & 0x7F | 0x80
            left >>= 7
            at += 1
        head[at] = left
        self.sock.write(head, at + 1)
        self.sock.write(struct.pack("!H4sBBH", 4, b"MQTT", 4, flags, self.keepalive))
        for field in fields:
            self.sock.write(struct.pack("!H", len(field)))
            self.sock.write(field)
        answer = self.sock.read(4)
        assert answer[0] == 0x20 and answer[1] == 2
        if answer[3]:
            raise MQTTException(answer[3])
        return answer[2] & 1

    def publish(self, topic, msg, retain=False, qos=0):
        raise RuntimeError("umqtt's own publish")

    def ping(self):
        raise RuntimeError("umqtt's own ping")

    def wait_msg(self):
        raise RuntimeError("umqtt's own wait_msg")

    check_msg = disconnect = wait_msg
