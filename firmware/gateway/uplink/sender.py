"""What to send next: who we are, then the journal in packs, each freed by the PUBACK of its own packet."""

import asyncio
import json

from micropython import const

from gateway.uplink import timesync
from gateway.uplink.mqtt import Client, LinkDown
from gateway.uplink.senml import Pack

CLASS_NAMES = ("alarm", "counter", "telemetry")
_UNIX_2000 = const(946684800)
_DIAG_MS = const(60000)
_RESYNC_MS = const(3600000)
_RETRY_SYNC_MS = const(60000)
_HISTORY_S = const(120)  # older than that, a round is history
_BACKOFF_MS = const(1000)
_BACKOFF_MOST_MS = const(60000)
_IDLE_MS = const(1000)


class Sender:
    """Owns the connection to the broker. `journal` is the only source of samples; `diagnosis()` gives the diag dict."""

    def __init__(self, site, link, clock, journal, epoch, version, diagnosis, random, texts):
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
        self._exponents = {stream[0]: stream[3] for stream in site["streams"]}
        mqtt = site["mqtt"]
        self._batch_ms = mqtt["batch_age_s"] * 1000
        self._batch_bytes = mqtt["batch_bytes"]
        client_id = "{}-{}".format(site["site"], site["gateway"]).encode()
        self._client = Client(client_id, mqtt, self._topic("state"), self._state(False))
        self.urgent = False  # a stream's first reading waits: send without waiting for a full pack
        self.online = False
        self.connects = 0
        self.last_error = ""
        self.published = 0
        self._sync_due_ms = 0
        self._diag_due_ms = 0
        self._unsynced_sent = False

    # --- the life of the connection

    async def run(self):
        backoff = _BACKOFF_MS
        while True:
            try:
                if not self._link.is_up() and not await self._link.bring_up():
                    raise LinkDown("no network")
                await self._sync_time()
                self._client.open()
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
        if now >= self._sync_due_ms:
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
        was_synced = self._clock.synced
        for host in self._site["network"]["ntp"]:
            if await timesync.ask(host, self._clock):
                self._sync_due_ms = self._clock.uptime_ms() + _RESYNC_MS
                if not was_synced and self._unsynced_sent and self.online:
                    await self._tell_time()
                return
        self._sync_due_ms = self._clock.uptime_ms() + _RETRY_SYNC_MS

    # --- who we are

    def _topic(self, tail):
        return (self._base + tail).encode()

    def _state(self, online):
        return json.dumps(
            {
                "online": online,
                "ep": self._epoch,
                "config": self._site["config"],
                "version": self._version,
            }
        ).encode()

    async def _introduce(self):
        """Birth before state: whoever sees us online can read what follows."""
        site = self._site
        publish = self._client.publish
        devices = [name for name, _ in site["devices"]]
        birth = {"ep": self._epoch, "bn": self._base_name, "devices": devices}
        await publish(self._topic("birth"), json.dumps(birth).encode(), True)
        for name, profile in site["devices"]:
            texts = {point: text for device, point, text in self._texts if device == name}
            await self._client.publish_pieces(
                self._topic("birth/" + name), lambda: self._device_birth(name, profile, texts), True
            )
        await publish(self._topic("state"), self._state(True), True)
        if self._unsynced_sent and self._clock.synced:
            await self._tell_time()

    def _device_birth(self, name, profile, texts):
        """Yield the JSON of one device, stream by stream."""
        head = json.dumps({"device": name, "profile": profile, "texts": texts})
        yield head[:-1].encode() + b', "streams": ['
        prefix = name + "/"
        comma = b""
        for s in self._site["streams"]:
            if s[1].startswith(prefix):
                row = {"id": s[0], "name": s[1], "unit": s[2], "exponent": s[3], "kind": s[4]}
                row["class"] = CLASS_NAMES[s[5]]
                row["period_s"] = s[6]
                yield comma + json.dumps(row).encode()
                comma = b", "
        yield b"]}"

    async def _tell_time(self):
        """Place what was published without a time: this uptime was that UTC."""
        clock = self._clock
        ms = clock.uptime_ms()
        event = {
            "event": "time",
            "ep": self._epoch,
            "ms": ms,
            "utc": clock.utc_of(ms) + _UNIX_2000,
            "source": clock.source,
            "uncertainty_ms": clock.uncertainty_ms,
        }
        await self._client.publish(self._topic("event"), json.dumps(event).encode())
        self._unsynced_sent = False

    # --- the journal

    def _choose(self, now):
        """The run of rounds to send now: one class, old enough, many enough, or urgent; an empty list when it can wait."""
        self._journal.refill()
        window = self._journal.window
        if not window:
            return window
        oldest = window[0].content
        full = sum(entry.content[0] for entry in window) >= self._batch_bytes
        age_ms = now - oldest[6]
        if not (self.urgent or full or oldest[2] != self._epoch or age_ms >= self._batch_ms):
            return ()
        run = []
        size = 0
        history = self._is_history(oldest, now)
        for entry in window:
            content = entry.content
            if content[1] == oldest[1] and self._is_history(content, now) == history:
                size += 3 * content[0]  # SenML takes about three times the record
                if run and size > self._batch_bytes:
                    break
                run.append(entry)
        return run

    def _is_history(self, content, now):
        return content[2] != self._epoch or now - content[6] > _HISTORY_S * 1000

    async def _send(self, entries):
        pack = Pack(self._base_name, self._exponents)
        now = self._clock.uptime_ms()
        for entry in entries:
            utc, age_s = None, 0
            content = entry.content
            if not content[4] and content[2] == self._epoch:
                utc = self._clock.utc_of(content[6])
                if utc is None:
                    age_s = (now - content[6]) // 1000
                    self._unsynced_sent = True
                else:
                    utc += _UNIX_2000
            pack.add(content, utc, age_s)
        first = entries[0].content
        kind = "h/" if self._is_history(first, now) else "d/"
        await self._client.publish(self._topic(kind + CLASS_NAMES[first[1]]), pack.finish())
        self.published += 1
        self._journal.acknowledged(entries)
        if not self._journal.window:
            self.urgent = False
