"""SenML packs in CBOR (RFC 8428 sections 4 to 6, RFC 8949): a run of rounds of one class.

The first record of a round carries its base time and, as extension labels, its identity: "ep" epoch, "sq" seq. A
value is an integer or a decimal fraction (tag 4), exact. A bad sample is the string record `<name>/q` with the reason
instead of a value; an uncertain value carries the reason in the label "ql".
"""

from micropython import const

from gateway.core.quality import BAD, pack, reason_name

# Of a stream that this site does not have (a backlog from before a re-deploy): without exponent no value.
_UNKNOWN = pack(BAD, 63)
_EPOCH_2000 = const(946684800)  # 2000-01-01 in Unix seconds

# CBOR major types
_UNSIGNED = const(0x00)
_NEGATIVE = const(0x20)
_TEXT = const(0x60)
_ARRAY = const(0x80)
_MAP = const(0xA0)
# What never changes, encoded
_BASE_NAME = b"\x21"  # label -2
_BASE_TIME = b"\x22"  # label -3
_EPOCH = b"\x62ep"
_SEQ = b"\x62sq"
_UPTIME_MS = b"\x62ms"
_NAME = b"\x00"
_VALUE = b"\x02"
_STRING_VALUE = b"\x03"
_QUALITY = b"\x62ql"
_DECIMAL_FRACTION = b"\xc4\x82"  # tag 4, array of exponent and mantissa


def _head(out, major, n):
    if n < 24:
        out.append(major | n)
    elif n < 0x100:
        out.append(major | 24)
        out.append(n)
    elif n < 0x1_0000:
        out.append(major | 25)
        out.append(n >> 8)
        out.append(n & 0xFF)
    elif not n >> 32:
        out.append(major | 26)
        out.extend(n.to_bytes(4, "big"))
    else:
        out.append(major | 27)
        out.extend(n.to_bytes(8, "big"))


def _integer(out, value):
    if value < 0:
        _head(out, _NEGATIVE, ~value)
    else:
        _head(out, _UNSIGNED, value)


def _text(out, text):
    data = text.encode()
    _head(out, _TEXT, len(data))
    out.extend(data)


class Pack:
    """One message. `base_name` stands before every name; `exponents`: decimal exponent by stream id, a dict."""

    def __init__(self, base_name, exponents):
        self._base_name = base_name
        self._exponents = exponents
        self._count = 0
        self._body = bytearray()

    def add(self, record, utc=None, age_s=0):
        """Append a round, as journal.record.decode gives it.

        A record that is not synced has its time from `utc`, the Unix seconds of its slot, or while these are unknown
        from `age_s`, its distance to now; then it also carries its uptime "ms", by which it can be placed later.
        """
        out = self._body
        begin = True
        for stream_id, mantissa, quality_byte in record[7]:
            exponent = self._exponents.get(stream_id)
            if exponent is None:
                quality_byte = _UNKNOWN
            bad = quality_byte >> 6 == BAD
            labels = 2 if bad or not quality_byte else 3
            if begin:
                self._begin(labels, record, utc, age_s)
                begin = False
            else:
                _head(out, _MAP, labels)
            out.extend(_NAME)
            if bad:
                _text(out, f"{stream_id:x}/q")
                out.extend(_STRING_VALUE)
                _text(out, reason_name(quality_byte))
            else:
                _text(out, f"{stream_id:x}")
                out.extend(_VALUE)
                if exponent:
                    out.extend(_DECIMAL_FRACTION)
                    _integer(out, exponent)
                _integer(out, mantissa)
                if quality_byte:
                    out.extend(_QUALITY)
                    _text(out, reason_name(quality_byte))
        self._count += len(record[7])

    def _begin(self, labels, record, utc, age_s):
        """The labels that only the first record of a round has, and the head of its map."""
        _, _, epoch, seq, synced, seconds, uptime_ms, _ = record
        if synced:
            utc = _EPOCH_2000 + seconds
        out = self._body
        named = self._count > 0
        _head(out, _MAP, labels + 3 + (not named) + (utc is None))
        if not named:
            out.extend(_BASE_NAME)
            _text(out, self._base_name)
        out.extend(_BASE_TIME)
        _integer(out, -age_s if utc is None else utc)
        out.extend(_EPOCH)
        _integer(out, epoch)
        out.extend(_SEQ)
        _integer(out, seq)
        if utc is None:
            out.extend(_UPTIME_MS)
            _integer(out, uptime_ms)

    def size(self):
        """Bytes that finish would give now."""
        return len(self._array()) + len(self._body)

    def finish(self):
        """The pack, bytes: an array of definite length."""
        return bytes(self._array()) + self._body

    def _array(self):
        head = bytearray()
        _head(head, _ARRAY, self._count)
        return head
