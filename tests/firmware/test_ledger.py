"""journal.ledger: nothing gets lost between its columns."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.record import EVENTS
from gateway.journal.ledger import OTHER, Ledger

IDS = [0, 3, 17, 70000]
COLUMNS = ("produced", "acknowledged", "dropped", "quarantined", "queued")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["produced", "recovered", "quarantined", "acknowledged", "dropped"]),
        st.sampled_from([*IDS, EVENTS, 1, 99]),
    )
)


@given(STEPS)
def test_against_plain_counting(events):
    ledger = Ledger(IDS)
    counts = {row: Counter() for row in [*IDS, EVENTS, OTHER]}
    for name, stream_id in events:
        row = counts[stream_id if stream_id in counts else OTHER]
        getattr(ledger, name)(stream_id)
        if name in ("produced", "recovered", "quarantined"):
            row["produced"] += 1
        if name in ("acknowledged", "dropped", "quarantined"):
            row[name] += 1
        row["queued"] += {"produced": 1, "recovered": 1, "quarantined": 0, "acknowledged": -1, "dropped": -1}[name]
    assert list(ledger.rows()) == [(row, *(count[name] for name in COLUMNS)) for row, count in counts.items()]
    assert ledger.totals() == tuple(
        sum(count[name] for row, count in counts.items() if row != EVENTS) for name in COLUMNS
    )
    assert ledger.balanced() == all(count["queued"] >= 0 for count in counts.values())


def test_a_sample_that_leaves_twice_is_noticed():
    ledger = Ledger(IDS)
    ledger.produced(3)
    ledger.produced(17)
    ledger.acknowledged(3)
    assert ledger.balanced() and ledger.totals() == (2, 1, 0, 0, 1)
    ledger.dropped(3)
    assert not ledger.balanced()
