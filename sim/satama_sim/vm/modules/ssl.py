"""`ssl`: the VM's own mbedTLS over the simulated socket, at the board's cost."""

import tls
from tls import *

import link
import select
from socket import Lower


class _Transport(Lower):
    """What TLS writes and reads through. Computing is paid for where mbedTLS has done it: before it answers the server's first words."""

    def __init__(self, sock):
        super().__init__(sock)
        self._heard = False
        self._computed = False

    def readinto(self, buf):
        got = super().readinto(buf)
        if got > 0:
            self._heard = True
        return got

    def write(self, data):
        if self._heard and not self._computed:
            self._computed = True
            link.spend("tls_handshake_us")
        return super().write(data)


class SSLContext:
    def __init__(self, *args):
        self._context = tls.SSLContext(*args)
        self._context.verify_mode = tls.CERT_NONE

    @property
    def verify_mode(self):
        return self._context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        self._context.verify_mode = mode

    def load_cert_chain(self, certfile, keyfile):
        self._context.load_cert_chain(_content(certfile), _content(keyfile))

    def load_verify_locations(self, cafile=None, cadata=None):
        self._context.load_verify_locations(_content(cafile) if cafile else cadata)

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True, server_hostname=None):
        outer = self._context.wrap_socket(
            _Transport(sock),
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            server_hostname=server_hostname,
        )
        select.wrapped[:] = [pair for pair in select.wrapped if pair[1].handle]
        select.wrapped.append((outer, sock))
        return outer


def wrap_socket(
    sock, server_side=False, key=None, cert=None, cert_reqs=0, cadata=None, server_hostname=None, do_handshake=True
):
    context = SSLContext(tls.PROTOCOL_TLS_SERVER if server_side else tls.PROTOCOL_TLS_CLIENT)
    if cert or key:
        context.load_cert_chain(cert, key)
    if cadata:
        context.load_verify_locations(cadata=cadata)
    context.verify_mode = cert_reqs
    return context.wrap_socket(sock, server_side, do_handshake, server_hostname)


def _content(source):
    if isinstance(source, str):
        with open(source, "rb") as file:
            return file.read()
    return source
