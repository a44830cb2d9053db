"""journal.ledger and its pages: nothing gets lost between the columns, nor over a restart."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.record import ABSENT, EVENTS
from gateway.core.schema import Schema
from gateway.journal import ledger_page
from gateway.journal.ledger import ACKNOWLEDGED, DROPPED, OTHER, PRODUCED, QUARANTINED, QUEUED, Ledger

IDS = [0, 3, 17, 70000]
COLUMNS = ("produced", "acknowledged", "dropped", "quarantined", "queued")
NUMBERS = {"acknowledged": ACKNOWLEDGED, "dropped": DROPPED, "quarantined": QUARANTINED}
SCHEMAS = [Schema(2, 10, [0, 3], [0, 0]), Schema(1, 10, [3, 17, 99], [0, 0, 0]), Schema(0, 10, [70000], [0])]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["queue", "acknowledged", "quarantined", "dropped"]), st.integers(0, 3), st.integers(0, 7)
    )
)


def what_of(kind, mask):
    """(tally, stream ids): an event, or a round of a schema without the samples of the mask."""
    if kind == 3:
        return (None, None), [EVENTS]
    schema = SCHEMAS[kind]
    marks = bytes([ABSENT if mask >> at & 1 else 0 for at in range(len(schema.ids))])
    there = [stream_id for at, stream_id in enumerate(schema.ids) if marks[at] != ABSENT]
    return (schema, marks if ABSENT in marks else None), there


@given(STEPS)
def test_against_plain_counting(steps):
    ledger = Ledger(IDS)
    counts = {row: Counter() for row in [*IDS, EVENTS, OTHER]}
    for name, kind, mask in steps:
        what, there = what_of(kind, mask)
        if name == "queue":
            ledger.queue(what)
        else:
            ledger.leave(NUMBERS[name], what)
        for stream_id in there:
            row = counts[stream_id if stream_id in counts else OTHER]
            row["produced" if name == "queue" else name] += 1
            row["queued"] += 1 if name == "queue" else -1
    assert list(ledger.rows()) == [(row, *(count[name] for name in COLUMNS)) for row, count in counts.items()]
    assert ledger.totals() == tuple(
        sum(count[name] for row, count in counts.items() if row != EVENTS) for name in COLUMNS
    )
    assert ledger.balanced() == all(count["queued"] >= 0 for count in counts.values())


def test_strangers_are_counted_by_their_class_for_the_pages_and_together_for_people():
    ledger = Ledger(IDS)
    ledger.row(5000, 0, PRODUCED, 1)
    ledger.row(5001, 1, PRODUCED, 20)
    ledger.row(5002, 2, PRODUCED, 300)
    assert [row for row in ledger.rows() if row[1]] == [(OTHER, 321, 0, 0, 0, 0)]
    classes = dict.fromkeys(IDS, 2)
    pages = [[row[:2] for row in ledger.rows_of(cls, classes) if row[1]] for cls in range(3)]
    assert pages == [[(OTHER, 1)], [(OTHER, 20)], [(OTHER, 300)]]
    assert [row[0] for row in ledger.rows_of(0, classes)] == [EVENTS, OTHER]


def test_a_sample_that_leaves_twice_is_noticed():
    ledger = Ledger(IDS)
    for kind in (0, 2):
        ledger.queue(what_of(kind, 0)[0])
    ledger.leave(ACKNOWLEDGED, what_of(0, 0)[0])
    assert ledger.balanced() and ledger.totals() == (3, 2, 0, 0, 1)
    ledger.leave(DROPPED, what_of(0, 0)[0])
    assert not ledger.balanced()


def test_after_a_start_the_rest_was_acknowledged_but_never_less_than_was_known():
    ledger = Ledger(IDS)
    for stream_id, column, samples in ((3, PRODUCED, 100), (3, DROPPED, 10), (3, QUEUED, 30), (17, PRODUCED, 5)):
        ledger.row(stream_id, 2, column, samples)
    ledger.row(17, 1, QUEUED, 7)  # a block came back to life
    least = ledger.empty()
    least.row(3, 2, ACKNOWLEDGED, 40)
    least.row(17, 1, ACKNOWLEDGED, 3)
    ledger.derive(least)
    rows = {row[0]: row[1:] for row in ledger.rows()}
    assert rows[3] == (100, 60, 10, 0, 30)
    assert rows[17] == (10, 3, 0, 0, 7)
    assert ledger.balanced()


ROWS = st.dictionaries(st.integers(-2, 100_000), st.tuples(*[st.integers(0, 2**31)] * 4), max_size=60)


@given(ROWS, st.tuples(*[st.integers(0, 2**32)] * 4))
def test_a_page_comes_back_as_it_was(rows, head):
    page = ledger_page.Page(*head, [(stream_id, *rows[stream_id]) for stream_id in sorted(rows)])
    back = ledger_page.decode(page.encode())
    assert (back.epoch, back.seq, back.dropped, back.head, back.rows) == (*head, page.rows)


@given(st.binary(max_size=40))
def test_a_page_that_is_none_is_an_empty_one(data):
    assert ledger_page.decode(data[:0]).rows == ()
    ledger_page.decode(data)


def test_a_page_of_100_streams_that_went_the_same_way_takes_little_more_than_a_byte_each():
    rows = [(stream_id, 432_000, 1_500, 0, 0) for stream_id in range(100)]
    assert len(ledger_page.Page(40, 100_000, 0, 7_000, rows).encode()) < 130
