"""When samples were taken: the events "time" place what had none, and move what a wrong clock stamped."""

import pytest

from satama.collecting.account import Account, Hole
from satama.collecting.placing import Placing
from satama.payloads.sample import Sample

T = 1_790_000_000


def sample(seq, time=T, uptime_ms=None, epoch=1):
    return Sample("0", time, 5, "", epoch, seq, uptime_ms)


def event(ms, utc, **more):
    return {"event": "time", "ep": 1, "ms": ms, "utc": utc, "source": "ntp"} | more


def test_samples_without_a_time_wait_for_the_event_of_their_start():
    placing = Placing()
    assert placing.place(sample(1, -5, 10_000)).by == "unknown"
    placing.learn(event(60_000, T, utc_ms=500))
    at = placing.place(sample(1, -5, 10_000))
    assert (at.time_ms, at.by, at.source) == ((T - 50) * 1000, "event", "ntp")
    assert placing.place(sample(1, -5, 10_000, epoch=2)).time_ms is None


def test_a_clock_stepped_back_an_hour_moves_what_it_stamped_and_keeps_intervals():
    placing = Placing()
    placing.learn(event(60_000, T))
    placing.learn(event(120_000, T + 60 - 3600, sq=10, stepped_ms=-3_600_000))
    placed = [
        placing.place(one).time_ms // 1000
        for one in (sample(1, -5, 10_000), sample(5, T + 10), sample(9, T + 50), sample(10, T + 70 - 3600))
    ]
    assert placed == [T - 3650, T - 3590, T - 3550, T - 3530]
    assert [placing.place(sample(seq)).by for seq in (9, 10)] == ["moved", "device"]


def test_an_event_that_comes_twice_moves_once_and_the_order_of_arrival_does_not_matter():
    steps = [event(120_000, T, sq=10, stepped_ms=-1000), event(60_000, T, sq=5, stepped_ms=2000)]
    for order in (steps, steps[::-1], steps + steps):
        placing = Placing()
        for one in order:
            placing.learn(one)
        assert [placing.place(sample(seq)).time_ms - T * 1000 for seq in (4, 9, 10)] == [1000, -1000, 0]


@pytest.mark.parametrize("damage", [{"ms": "1"}, {"utc": None}, {"ep": True}, {"sq": "1"}, {"stepped_ms": 1.5}])
def test_a_damaged_event_is_refused(damage):
    with pytest.raises(ValueError, match="event 'time'"):
        Placing().learn(event(1, T) | damage)


def test_holes_lie_between_what_came():
    account = Account()
    for epoch, seq in [(1, 5), (1, 3), (1, 9), (2, 100), (2, 101)]:
        account.sample((epoch, seq, "0"))
    account.event({"event": "bin_emptied", "ep": 1, "sq": 4})
    assert account.holes() == [Hole(1, 6, 8)]


def test_what_the_ledger_counts_must_have_come():
    account = Account()

    def report(acknowledged, epoch=1):
        account.diagnosed({"epoch": epoch, "ledger": {"acknowledged": acknowledged}})

    report(100)
    for seq in (1, 2, 2):
        account.sample((1, seq, "0"))
    report(102)
    assert account.unseen == 0
    account.sample((1, 3, "0"))
    report(105)
    assert account.unseen == 2
    account.sample((2, 1, "0"))
    report(1, epoch=2)
    assert (account.unseen, account.reports) == (2, 3)
    report(2, epoch=2)
    assert account.unseen == 3
