"""SenML packs (RFC 8428): a run of rounds of one class, in CBOR or JSON.

The first record of a round carries its base time and, as extension labels, its identity: "ep" epoch, "sq" seq. A value is an integer or
a decimal number, exact. A bad sample is the string record `<name>/q` with the reason instead of a value; an uncertain value carries the
reason in the label "ql".
"""

from micropython import const

from gateway.core.quality import BAD, reason_name
from gateway.core.short_name import short

_EPOCH_2000 = const(946684800)  # 2000-01-01 in Unix seconds


class Pack:
    """One message. `writer`: the module cbor or json_text; `base_name` stands before every name; `aliases`: names of the streams that
    are not called by their short name, a dict by stream id."""

    def __init__(self, writer, base_name, aliases):
        self._writer = writer
        self._base_name = base_name
        self._aliases = aliases
        self._count = 0
        self._body = bytearray()

    def add(self, round, utc=None, age_s=0):
        """Append a core.record.Round.

        One that is not synced has its time from `utc`, the Unix seconds of its slot, or while these are unknown from `age_s`, its
        distance to now; then it also carries its uptime "ms", by which it can be placed later.
        """
        first = self._round_fields(round, utc, age_s)
        for stream_id, exponent, mantissa, quality_byte in round.samples():
            name = self._aliases.get(stream_id) or short(stream_id)
            if quality_byte >> 6 == BAD:
                fields = [("n", name + "/q"), ("vs", reason_name(quality_byte))]
            else:
                fields = [("n", name), ("v", (mantissa, exponent) if exponent else mantissa)]
                if quality_byte:
                    fields.append(("ql", reason_name(quality_byte)))
            self._writer.put_record(self._body, first + fields if first else fields)
            first = None
            self._count += 1

    def _round_fields(self, round, utc, age_s):
        """The labels that only the first record of a round has."""
        fields = [] if self._count else [("bn", self._base_name)]
        if round.synced:
            utc = _EPOCH_2000 + round.seconds
        fields.append(("bt", -age_s if utc is None else utc))
        fields.append(("ep", round.epoch))
        fields.append(("sq", round.seq))
        if utc is None:
            fields.append(("ms", round.uptime_ms))
        return fields

    def finish(self):
        """The pack, bytes."""
        return self._writer.finish(self._body, self._count)
