"""The broker core on asyncio sockets: `BrokerServer` in a loop of yours, `BrokerThread` in a thread of its own.

    with BrokerThread(on_publish=print) as broker_thread:
        print(broker_thread.port)
        broker_thread.call(lambda broker, now_us: broker.sever_all(now_us))

Times of messages are microseconds of the monotonic clock.
"""

import asyncio
import contextlib
import errno
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from .core import Broker, Connection, Message

_TICK_S = 0.2
_SSL_HANDSHAKE_TIMEOUT_S = 10
_STOP_TIMEOUT_S = 5
_MAX_UNSENT_BYTES = 64 << 20  # a client that reads slower than that is cut off

_Result = TypeVar("_Result")


class CannotListen(OSError):
    """The broker's port cannot be opened; the message is a sentence that says which, why, and what to do."""


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        cause = "it is in use: stop the program that holds it, or choose another port (0 takes a free one)"
    elif error.errno == errno.EACCES:
        cause = "it needs more rights: choose a port from 1024 on (0 takes a free one)"
    elif error.errno == errno.EADDRNOTAVAIL or error.errno is None or error.errno < 0:  # negative: name resolution
        cause = "this machine has no such address: use 127.0.0.1, or 0.0.0.0 for all its addresses"
    else:
        cause = error.strerror or str(error)
    return CannotListen(error.errno, f"the broker cannot listen on port {port} of {host}: {cause}")


def _now_us() -> int:
    return time.monotonic_ns() // 1000


class _Link(asyncio.Protocol):
    """One client's socket."""

    def __init__(self, server: "BrokerServer") -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection = self._server._accept(transport)

    def data_received(self, data: bytes) -> None:
        self._server.broker.feed(self._connection, data, _now_us())
        self._server.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._lost(self._connection)


class BrokerServer:
    """Serves `broker` on host:port inside the running loop; port 0 takes a free one.

    After calls of your own to `broker` (publish, sever_all, ...), call `flush`.
    """

    def __init__(
        self, broker: Broker, host: str = "127.0.0.1", port: int = 0, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.broker = broker
        self.host = host
        self.port = port
        self._ssl_context = ssl_context
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transports: dict[Connection, asyncio.Transport] = {}

    async def start(self) -> int:
        """Open the port and return its number. Raises CannotListen."""
        loop = asyncio.get_running_loop()
        timeout_s = _SSL_HANDSHAKE_TIMEOUT_S if self._ssl_context else None
        try:
            self._server = await loop.create_server(
                lambda: _Link(self), self.host, self.port, ssl=self._ssl_context, ssl_handshake_timeout=timeout_s
            )
        except OSError as error:
            raise _cannot_listen(self.host, self.port, error) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._tick()
        return self.port

    async def stop(self) -> None:
        """Close port and connections as a stopped process does: no Will is published, the broker keeps its state."""
        if self._server is None:
            return
        self._timer.cancel()
        self._server.close()
        self.broker.restart()
        for transport in self._transports.values():
            transport.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                while self._transports:
                    await asyncio.sleep(0)
                await self._server.wait_closed()
        self._server = None

    def flush(self) -> None:
        """Write what the broker has to send, and close the sockets of connections it has closed."""
        for connection in self.broker.take_ready():
            transport = self._transports.get(connection)
            if transport is None:
                continue
            if connection.out and not transport.is_closing():
                transport.write(bytes(connection.out))
            connection.out.clear()
            if transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
                transport.abort()
            elif not connection.open:
                transport.close()

    def _accept(self, transport: asyncio.BaseTransport) -> Connection:
        connection = self.broker.connect(_now_us())
        self._transports[connection] = transport
        return connection

    def _lost(self, connection: Connection) -> None:
        self._transports.pop(connection, None)
        self.broker.lost(connection, _now_us())
        self.flush()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)
        self.broker.tick(_now_us())
        self.flush()


class BrokerThread:
    """A broker in a thread with an asyncio loop of its own; a context manager.

    broker       the core to serve, by default a new one; give the same one again to go on with its sessions
    on_publish   called in that thread with each accepted Message; there, use `broker` itself, not `call`
    """

    def __init__(
        self,
        broker: Broker | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        on_publish: Callable[[Message], None] | None = None,
    ) -> None:
        self.broker = broker or Broker()
        if on_publish is not None:
            self.broker.on_publish = on_publish
        self._server = BrokerServer(self.broker, host, port, ssl_context)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_wanted: asyncio.Event | None = None
        self._lock = threading.Lock()  # a call that comes in while the loop ends would wait for ever

    @property
    def port(self) -> int:
        """The port listened on; once started never 0."""
        return self._server.port

    def start(self) -> "BrokerThread":
        """Return when clients can connect. Raises CannotListen, an OSError whose text is a sentence."""
        if self._thread is not None:
            raise RuntimeError("the broker is running already")
        started: Future[None] = Future()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), name="mqtt-broker", daemon=True)
        thread.start()
        try:
            started.result()
        except Exception:
            thread.join()
            raise
        self._thread = thread
        return self

    def stop(self) -> None:
        """Close the port and all connections; harmless when stopped already. `start` opens the same port again."""
        self._refuse_own_thread()
        with self._lock:
            if self._thread is not None:
                self._loop.call_soon_threadsafe(self._stop_wanted.set)
                self._thread.join()
                self._thread = None

    def call(self, function: Callable[[Broker, int], _Result]) -> _Result:
        """Run function(broker, now_us) in the broker's thread, send what it caused, and return its result."""
        self._refuse_own_thread()
        result: Future[_Result] = Future()

        def run() -> None:
            try:
                value = function(self.broker, _now_us())
                self._server.flush()
            except BaseException as error:
                result.set_exception(error)
            else:
                result.set_result(value)

        with self._lock:
            if self._thread is None:
                raise RuntimeError("the broker is not running")
            self._loop.call_soon_threadsafe(run)
            return result.result()

    def _refuse_own_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError("inside on_publish use the broker itself: this call would wait for its own thread")

    def __enter__(self) -> "BrokerThread":
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    async def _serve(self, started: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._stop_wanted = asyncio.Event()
        try:
            await self._server.start()
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(None)
        await self._stop_wanted.wait()
        await self._server.stop()
