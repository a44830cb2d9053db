"""Counting anew what waits. After a start: where the rings end and what the ledger has to know of them; nothing is written then, for the
supply may fail again at once. And after damage.

Wanted in these two cases only.
"""

from gateway.journal import ledger, ledger_page
from gateway.journal.blocks import BLOCK, waits


def recover(journal, state):
    """Bring a Journal up to date. Returns the highest epoch that any record has."""
    flags = journal.pool.load()
    epoch = journal.pool.epoch
    least = journal.ledger.empty()
    for ring in journal.rings:
        page = ledger_page.decode(state.get(ledger_page.KEY + ring.cls))
        epoch = max(epoch, page.epoch)
        journal.pool.sequence = max(journal.pool.sequence, page.head, page.dropped)
        _take_page(journal, ring, page, least)
        epoch = max(epoch, _take_blocks(journal, ring, page, flags))
    journal.ledger.derive(least)
    return epoch


def _take_page(journal, ring, page, least):
    """Into the ledger with what it was when the page was written, but for what was queued: that is counted anew."""
    ring.saved, ring.dropped, ring.last = page.head, page.dropped, (page.epoch, page.seq)
    for stream_id, produced, queued, dropped, quarantined in page.rows:
        journal.ledger.row(stream_id, ring.cls, ledger.PRODUCED, produced)
        journal.ledger.row(stream_id, ring.cls, ledger.DROPPED, dropped)
        journal.ledger.row(stream_id, ring.cls, ledger.QUARANTINED, quarantined)
        least.row(stream_id, ring.cls, ledger.ACKNOWLEDGED, produced - queued - dropped - quarantined)


def _take_blocks(journal, ring, page, flags):
    pool, blocks = journal.pool, journal.blocks
    first = pool.first
    epoch, offset = 0, BLOCK
    newest = pool.newest(ring.cls)
    block = pool.next(ring.cls, 0)
    while block >= 0:
        sequence = pool.sequence_of(block)
        if sequence <= page.dropped:  # given up and counted, but the power went before it was erased
            pool.free(block)
        elif flags[block - first] or sequence >= page.head or block == newest:
            epoch = max(epoch, _take_block(journal, ring, page, block, flags[block - first]))
            journal.damaged += blocks.torn
            if block == newest:
                offset = blocks.free
        block = pool.next(ring.cls, sequence)
    ring.start(pool.newest(ring.cls), offset)
    return epoch


def _take_block(journal, ring, page, block, something_waits):
    """Count its records."""
    counts, blocks = journal.ledger, journal.blocks
    epoch, waiting = 0, 0
    for at, _, content in blocks.scan(block, False):
        what = ledger.tally(content)
        if (content.epoch, content.seq) > (page.epoch, page.seq):
            counts.count(ledger.PRODUCED, what)
            ring.last = max(ring.last, (content.epoch, content.seq))
        if something_waits and waits(blocks.buffer[at]):
            counts.count(ledger.QUEUED, what)
            waiting += 1
        epoch = max(epoch, content.epoch)
    journal.pool.wait(block, waiting)
    return epoch


def recount(journal):
    """Something unreadable was met: bring pool and ledger in line with what can be read; what cannot is quarantined, and noted as an event."""
    still = journal.ledger.empty()
    damaged = 0
    for ring in journal.rings:
        block = journal.pool.next(ring.cls, 0)
        while block >= 0:
            count = 0
            if journal.pool.waits(block):
                for at, _, content in journal.blocks.scan(block, False):
                    if waits(journal.blocks.buffer[at]):
                        still.count(ledger.QUEUED, ledger.tally(content))
                        count += 1
                lost = journal.pool.waits(block) - count
                if lost > 0:
                    damaged += lost
                    journal.pool.wait(block, -lost)
                    ring.settle(block)
            block = journal.pool.next(ring.cls, journal.pool.sequence_of(block))
    journal.held.count(still)
    journal.ledger.recount(still)
    if damaged:
        journal.damaged += damaged
        journal.note({"event": "journal_damaged", "records": damaged})
