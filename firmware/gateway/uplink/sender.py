"""What to send next: who we are, then the journal in packs, each freed by the PUBACK of its own packet."""

import asyncio
import json

from micropython import const

from gateway.core.short_name import short
from gateway.uplink.batch import Batch
from gateway.uplink.mqtt import Client, LinkDown
from gateway.uplink.timesync import TimeSync

CLASS_NAMES = ("alarm", "counter", "telemetry")
_UNIX_2000 = const(946684800)
_DIAG_MS = const(60000)
_SAMPLE_BYTES = {"cbor": 11, "json": 21, "compact": 0}
_BACKOFF_MS = const(1000)
_BACKOFF_MOST_MS = const(60000)
_IDLE_MS = const(1000)


class Sender:
    """Owns the connection to the broker. `journal` is the only source of samples; `diagnosis()` gives the diag dict.

    `note(event)` takes an event into the journal, `made()` says how many records of this boot are there.
    """

    def __init__(self, site, link, clock, journal, epoch, version, diagnosis, random, texts, aliases, note, made):
        self._site = site
        self._link = link
        self._clock = clock
        self._journal = journal
        self._epoch = epoch
        self._version = version
        self._diagnosis = diagnosis
        self._random = random
        self._texts = texts  # [device, name, text], growing: what identifies the devices
        self._base = "{}/{}/{}/".format(site["root"], site["site"], site["gateway"])
        self._base_name = "{}:{}:".format(site["site"], site["gateway"])
        self._aliases = aliases  # stream id -> name on the wire, of those that are not called by their short name
        mqtt = site["mqtt"]
        self._encoding = mqtt["encoding"]
        sample_bytes = _SAMPLE_BYTES[self._encoding]
        self._batch = Batch(epoch, sample_bytes, mqtt["batch_bytes"], mqtt["batch_samples"], mqtt["batch_age_s"] * 1000)
        self._introduced = []  # ids of schemas that this connection has heard of
        client_id = "{}-{}".format(site["site"], site["gateway"]).encode()
        self._client = Client(client_id, mqtt, self._topic("state"), self._state(False))
        self.urgent = False  # a stream's first reading waits: send without waiting for a full pack
        self.online = False
        self.connects = 0
        self.last_error = ""
        self.published = 0
        self._note = note
        self._made = made
        self.time = TimeSync(site["network"]["ntp"], clock)
        self._diag_due_ms = 0

    # --- the life of the connection

    async def run(self):
        backoff = _BACKOFF_MS
        while True:
            try:
                if not self._link.is_up() and not await self._link.bring_up():
                    raise LinkDown("no network")
                await self._sync_time()
                self._client.open()
                self._introduced = []
                self.connects += 1
                backoff = _BACKOFF_MS
                await self._introduce()
                self.online = True
                self.last_error = ""
                while True:
                    await self._serve()
            except LinkDown as error:
                self.last_error = error.args[0]
                self._client.shut()
                if not self._link.is_up() and self._link.attempts % 4 == 3:
                    self._link.take_down()
            self.online = False
            await asyncio.sleep_ms(backoff // 2 + self._random(backoff))
            backoff = min(2 * backoff, _BACKOFF_MOST_MS)

    async def _serve(self):
        now = self._clock.uptime_ms()
        await self._sync_time()
        if now >= self._diag_due_ms:
            self._diag_due_ms = now + _DIAG_MS
            await self._client.publish(self._topic("diag"), json.dumps(self._diagnosis()).encode())
        entries = self._choose(now)
        if entries:
            await self._send(entries)
        else:
            await self._client.keep_alive()
            await asyncio.sleep_ms(_IDLE_MS)

    async def _sync_time(self):
        """Ask for the time when it is due. What the answer changes for records already made is noted at once, before the next one."""
        if not self.time.is_due():
            return
        moved = await self.time.poll()
        if moved is None and self._made() or moved:
            self._note(self._mapping(moved))
        for host, seconds, off_ms in self.time.refused:
            event = {"event": "time_refused", "server": host, "said": seconds + _UNIX_2000}
            if off_ms is not None:
                event["difference_ms"] = off_ms
            self._note(event)
        self.time.refused = []

    def _mapping(self, moved):
        """The event by which a consumer places what has no time yet, and moves what was stamped before the clock was stepped: its own
        uptime is its own UTC, and records with a lower number are from before."""
        clock = self._clock
        event = {"event": "time", "source": clock.source, "uncertainty_ms": clock.uncertainty_ms}
        if moved:
            event["stepped_ms"] = moved
        return event

    # --- who we are

    def _topic(self, tail):
        return (self._base + tail).encode()

    def _state(self, online):
        return json.dumps(
            {
                "online": online,
                "ep": self._epoch,
                "schema": self._site["schema"],
                "config": self._site["config"],
                "version": self._version,
            }
        ).encode()

    async def _introduce(self):
        """Birth before state: whoever sees us online can read what follows."""
        site = self._site
        publish = self._client.publish
        devices = [row[0] for row in site["devices"]]
        birth = {"ep": self._epoch, "bn": self._base_name, "devices": devices}
        await publish(self._topic("birth"), json.dumps(birth).encode(), True)
        for name, profile, _ in site["devices"]:
            texts = {point: text for device, point, text in self._texts if device == name}
            await self._client.publish_pieces(
                self._topic("birth/" + name), lambda: self._device_birth(name, profile, texts), True
            )
        await publish(self._topic("state"), self._state(True), True)

    def _device_birth(self, name, profile, texts):
        """Yield the JSON of one device, stream by stream."""
        head = json.dumps({"device": name, "profile": profile, "texts": texts})
        yield head[:-1].encode() + b', "streams": ['
        prefix = name + "/"
        comma = b""
        for s in self._site["streams"]:
            if s[1].startswith(prefix):
                row = {
                    "n": self._aliases.get(s[0]) or short(s[0]),
                    "name": s[1],
                    "unit": s[2],
                    "exponent": s[3],
                    "kind": s[4],
                }
                if s[0] not in self._aliases:
                    row["id"] = s[0]
                row["class"] = CLASS_NAMES[s[5]]
                row["period_s"] = s[6]
                yield comma + json.dumps(row).encode()
                comma = b", "
        yield b"]}"

    # --- the journal

    def _choose(self, now):
        self._journal.refill()
        return self._batch.choose(self._journal.window, now, self.urgent)

    def _pack(self):
        """An empty message in the encoding of this site."""
        if self._encoding == "compact":
            from gateway.uplink import compact

            return compact.Pack()
        from gateway.uplink import senml

        if self._encoding == "json":
            from gateway.uplink import json_text as writer
        else:
            from gateway.uplink import cbor as writer
        return senml.Pack(writer, self._base_name, self._aliases)

    async def _send(self, entries):
        first = entries[0].content
        if first.is_event:
            await self._client.publish(self._topic("event"), self._event(first))
        else:
            await self._send_rounds(entries, first)
        self.published += 1
        self._journal.acknowledged(entries)
        if not self._journal.window:
            self.urgent = False

    async def _send_rounds(self, entries, first):
        pack = self._pack()
        now = self._clock.uptime_ms()
        for entry in entries:
            utc, age_s = None, 0
            round = entry.content
            if not round.synced and round.epoch == self._epoch:
                utc = self._clock.utc_of(round.uptime_ms)
                if utc is None:
                    age_s = (now - round.uptime_ms) // 1000
                else:
                    utc += _UNIX_2000
            pack.add(round, utc, age_s)
        if self._encoding == "compact":
            kind = "c/"
            for entry in entries:
                await self._introduce_schema(entry.content.schema)
        else:
            kind = "h/" if self._batch.is_history(first, now) else "d/"
        await self._client.publish(self._topic(kind + CLASS_NAMES[first.cls]), pack.finish())

    async def _introduce_schema(self, schema):
        """What the numbers in a compact packet mean, once a connection and retained, before the first of them."""
        if schema.id in self._introduced:
            return
        streams = [[schema.ids[at], exponent] for at, exponent in enumerate(schema.exponents)]
        said = {"class": CLASS_NAMES[schema.cls], "period_s": schema.period, "streams": streams}
        await self._client.publish(self._topic("schema/{:08x}".format(schema.id)), json.dumps(said).encode(), True)
        self._introduced.append(schema.id)

    def _event(self, event):
        """What happened, with its identity and its moment."""
        said = {"ep": event.epoch, "sq": event.seq, "ms": event.uptime_ms}
        if event.synced:
            said["utc"], said["utc_ms"] = event.seconds + _UNIX_2000, event.ms
        elif event.epoch == self._epoch and self._clock.synced:
            said["utc"] = self._clock.utc_of(event.uptime_ms) + _UNIX_2000
        return json.dumps(said)[:-1].encode() + b", " + event.body[1:]
