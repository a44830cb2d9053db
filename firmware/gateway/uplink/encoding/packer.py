"""Payloads: rounds of one class as a pack in the encoding of the site, and events as JSON."""

import json

from micropython import const

SAMPLE_BYTES = {"cbor": 11, "json": 21, "compact": 0}  # about; 0: as in the journal
_UNIX_2000 = const(946684800)


class Packer:
    """`base_name` stands before every name, `aliases`: names of the streams that are not called by their short name, by stream id.

    `epoch`: of this boot, whose rounds and events are placed by `clock` when they have no time of their own.
    """

    def __init__(self, encoding, base_name, aliases, epoch, clock):
        self._encoding = encoding
        self._base_name = base_name
        self._aliases = aliases
        self._epoch = epoch
        self._clock = clock

    def payload(self, contents, now_ms):
        """Bytes: of an event alone, or of rounds. `now_ms`: the uptime from which the age of rounds without a time is told."""
        if contents[0].is_event:
            return self._event(contents[0])
        pack = self._pack()
        for round in contents:
            utc, age_s = None, 0
            if not round.synced and round.epoch == self._epoch:
                utc = self._clock.utc_of(round.uptime_ms)
                if utc is None:
                    age_s = (now_ms - round.uptime_ms) // 1000
                else:
                    utc += _UNIX_2000
            pack.add(round, utc, age_s)
        return pack.finish()

    def _pack(self):
        if self._encoding == "compact":
            from gateway.uplink.encoding import compact

            return compact.Pack()
        from gateway.uplink.encoding import senml

        if self._encoding == "json":
            from gateway.uplink.encoding import json_text as writer
        else:
            from gateway.uplink.encoding import cbor as writer
        return senml.Pack(writer, self._base_name, self._aliases)

    def _event(self, event):
        """What happened, with its identity and its moment."""
        said = {"ep": event.epoch, "sq": event.seq, "ms": event.uptime_ms}
        if event.synced:
            said["utc"], said["utc_ms"] = event.seconds + _UNIX_2000, event.ms
        elif event.epoch == self._epoch and self._clock.synced:
            said["utc"] = self._clock.utc_of(event.uptime_ms) + _UNIX_2000
        return json.dumps(said)[:-1].encode() + b", " + event.body[1:]
