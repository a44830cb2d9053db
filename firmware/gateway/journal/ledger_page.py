"""The ledger's rows of one class as a value of the state ring (docs/FORMAT.md, "Ledger").

A page says how far it reaches: records up to (epoch, seq) are in it, later ones are counted anew from the journal at the next start.
"""

from gateway.core import varint
from gateway.core.errors import FrameError

KEY = 48  # in the state ring, plus the class
_VERSION = 1
_IDS = 2  # added to stream ids: EVENTS and OTHER become 0 and 1


class Page:
    """`epoch`, `seq`: the last record that it includes; `dropped`: blocks up to that sequence number were given up; `head`: no block
    before that one holds later records; `rows`: list of (stream id, produced, queued, dropped, quarantined), ascending."""

    def __init__(self, epoch=0, seq=0, dropped=0, head=0, rows=()):
        self.epoch = epoch
        self.seq = seq
        self.dropped = dropped
        self.head = head
        self.rows = rows

    def encode(self):
        """Bytes. A row that is as the one before takes one or two."""
        out = bytearray((_VERSION,))
        for number in (self.epoch, self.seq, self.dropped, self.head, len(self.rows)):
            varint.put(out, number)
        expected, before = -_IDS, None
        for row in self.rows:
            same = row[1:] == before
            varint.put(out, (row[0] - expected) << 1 | same)
            if not same:
                for number in row[1:]:
                    varint.put(out, number)
            expected, before = row[0] + 1, row[1:]
        return bytes(out)


def decode(data):
    """The Page in `data`; an empty one when there is none, or none that can be understood."""
    try:
        return _decode(data) if data and data[0] == _VERSION else Page()
    except FrameError:
        return Page()


def _decode(data):
    numbers, at, end = [], 1, len(data)
    for _ in range(5):
        number, at = varint.get(data, at, end)
        numbers.append(number)
    rows = []
    stream_id, row = -_IDS, (0, 0, 0, 0)
    for _ in range(numbers[4]):
        step, at = varint.get(data, at, end)
        if not step & 1:
            row = []
            for _ in range(4):
                number, at = varint.get(data, at, end)
                row.append(number)
            row = tuple(row)
        stream_id += step >> 1
        rows.append((stream_id,) + row)
        stream_id += 1
    return Page(numbers[0], numbers[1], numbers[2], numbers[3], rows)
