"""What the journal still has of a stream, sent or not: for who asks later."""

from gateway.core.record import ABSENT
from gateway.journal.blocks import waits


def block_of(journal, cls, stream_id, after, sequence):
    """Look at the next block of a class behind that sequence number, 0 for the oldest one.

    Returns (its sequence number, 0 when there is none; list of (round, place of the stream in it, still waits)) of the rounds that come
    after `after` = (epoch, seq) and have a sample of the stream.
    """
    block = journal.pool.next(cls, sequence)
    if block < 0:
        return 0, []
    found = []
    for at, _, content in journal.blocks.scan(block):
        if not content.is_event and (content.epoch, content.seq) > after:
            for place, own in enumerate(content.schema.ids):
                if own == stream_id and content.marks[place] != ABSENT:
                    found.append((content, place, waits(journal.blocks.buffer[at])))
    return journal.pool.sequence_of(block), found
