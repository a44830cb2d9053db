"""The life of the connection: who we are, then the journal in packs, each freed by the PUBACK of its own packet."""

import json

from micropython import const

from gateway.core.schema import CLASS_NAMES
from gateway.uplink.errors import LinkDown

_DIAG_MS = const(60000)
_IDLE_MS = const(1000)
_TIME_MS = const(3000)  # the first question to the time servers is worth waiting for, if they answer
_FOR_FRESH = const(2)  # packets of the window that the backlog leaves free


def _nothing():
    pass


class Sender:
    """Owns the connection to the broker. `journal` is the only source of samples; `diagnosis()` gives the diag dict."""

    def __init__(self, site, birth, packer, batch, client, supervisor, time, clock, journal, diagnosis):
        self._birth = birth
        self._packer = packer
        self._batch = batch
        self._client = client
        self._supervisor = supervisor
        self._time = time
        self._clock = clock
        self._journal = journal
        self._diagnosis = diagnosis
        self._alive = _nothing
        self._compact = site["mqtt"]["encoding"] == "compact"
        self._most_backlog = max(1, site["mqtt"]["window"] - _FOR_FRESH)
        self._introduced = []  # ids of schemas that this connection has heard of
        self._urgent = False  # a stream's first reading waits
        self.online = False
        self.connects = 0
        self.last_error = ""
        self.published = 0
        self.confirmed_ms = 0  # uptime at the last of them
        self._diag_due_ms = 0

    async def run(self, alive):
        """`alive()` is called in every turn; none takes as long as five minutes."""
        self._alive = self._supervisor.alive = alive
        while True:
            try:
                await self._connect()
                while True:
                    self._alive()
                    await self._turn()
            except LinkDown as error:
                self.last_error = error.args[0]
            self.online = False
            self._client.shut()
            await self._supervisor.pause(self.last_error)

    def hurry(self):
        """Send what is fresh without waiting for a full pack."""
        self._urgent = True

    def shed(self):
        """Let go of the connection and all that is in flight, before a new run(): what it was about is in the journal."""
        self._client.shut()
        self._client.forget()
        self._journal.rewind()
        self.online = False

    async def _connect(self):
        host, address, port = await self._supervisor.way()
        await self._time.first(_TIME_MS)
        await self._client.open(host, (address, port))
        self._supervisor.connected()
        self.connects += 1
        self._introduced = []
        for topic, pieces in self._birth.messages():
            self._alive()
            await self._client.publish(topic, pieces, _nothing, True)
        self.online = True
        self.last_error = ""

    async def _turn(self):
        """One message, or a wait for what comes."""
        now = self._clock.uptime_ms()
        client = self._client
        if not client.room:
            await client.listen(_IDLE_MS)
        elif client.renewal and client.renewal.is_due:
            client.shut()
            await self._connect()
        elif now >= self._diag_due_ms:
            self._diag_due_ms = now + _DIAG_MS
            said = json.dumps(self._diagnosis()).encode()
            await client.publish(self._birth.topic("diag"), lambda: (said,), _nothing)
        else:
            may = client.in_flight < self._most_backlog
            found = self._batch.next(now, self._urgent, may)
            if found:
                await self._send(found[0], found[1], now)
            elif self._supervisor.wants_home and not client.in_flight:
                client.shut()
                await self._connect()
            else:
                self._urgent = False
                await client.listen(self._batch.pause_ms(now, _IDLE_MS) if may else _IDLE_MS)

    async def _send(self, is_backlog, entries, now):
        keys = [(entry.content.cls, entry.sequence, entry.offset) for entry in entries]
        try:
            await self._publish(is_backlog, entries, keys, now)
        except LinkDown:
            self._journal.put_back(keys)  # the client did not take them
            raise

    async def _publish(self, is_backlog, entries, keys, now):
        first = entries[0].content
        if first.is_event:
            topic = "event"
        else:
            kind = "c/" if self._compact else "h/" if is_backlog else "d/"
            topic = kind + CLASS_NAMES[first.cls]
            if self._compact:
                await self._introduce([entry.content.schema for entry in entries])
        payload = self._packer.payload([entry.content for entry in entries], now)
        if is_backlog:
            self._batch.sent(len(payload), now)
        held = [payload]  # until it is written: for a retransmission it is made again
        del entries, first, payload

        def pieces():
            if held:
                return (held[0],)
            contents = self._journal.read(keys)
            if contents is None:  # some of it was given up meanwhile: the rest goes in another packet
                self._journal.put_back(keys)
                return None
            return (self._packer.payload(contents, now),)

        await self._client.publish(self._birth.topic(topic), pieces, lambda: self._confirmed(keys))
        held.clear()

    def _confirmed(self, keys):
        self.published += 1
        self.confirmed_ms = self._clock.uptime_ms()
        self._journal.acknowledged(keys)

    async def _introduce(self, schemas):
        """What the numbers in a compact packet mean, once a connection, before the first of them."""
        for schema in schemas:
            if schema.id not in self._introduced:
                self._introduced.append(schema.id)
                topic, pieces = self._birth.schema(schema)
                await self._client.publish(topic, pieces, _nothing, True)
