"""Pulse totals: whatever is cut or reset and when, nothing that was offered is taken back, and only the quantum is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.acquire.inputs.totals import Totals
from gateway.core.quality import NONE, PULSES_LOST, STUCK


class Store:
    """The state ring, as a dict that can fail, and that can lose power before or after it has stored."""

    def __init__(self):
        self.values = {}
        self.works = True
        self.cut = ""
        self.writes = 0

    def get(self, key):
        return self.values.get(key)

    def put(self, key, value):
        if self.cut == "before":
            raise PowerCut
        if not self.works:
            return False
        assert len(value) <= 512
        self.writes += 1
        self.values[key] = bytes(value)
        if self.cut == "after":
            raise PowerCut
        return True


class PowerCut(BaseException):
    pass


class Rtc:
    def __init__(self):
        self.content = b""

    def memory(self, content=None):
        if content is None:
            return self.content
        self.content = bytes(content)
        return None


def boot(store, rtc, numbers, persist_ms=0, now_ms=0):
    totals = Totals(store, rtc.memory)
    return totals, [totals.open(number, persist_ms, now_ms) for number in numbers]


def test_the_first_start_ever_begins_at_0_without_a_doubt():
    totals, [total] = boot(Store(), Rtc(), [5])
    assert totals.offer(total, 0) == (0, NONE) and total.suspicions == 0


def test_what_is_offered_is_on_flash_before():
    store = Store()
    totals, [total] = boot(store, Rtc(), [5])
    total.count += 3
    assert totals.offer(total, 0) == (3, NONE)
    store.works = False
    total.count += 3
    assert totals.offer(total, 0) == (3, STUCK)
    store.works = True
    assert totals.offer(total, 0) == (6, NONE)


def test_after_a_power_cut_flash_counts_after_a_reset_the_rtc():
    store, rtc = Store(), Rtc()
    totals, [total] = boot(store, rtc, [5])
    total.count = 10
    totals.offer(total, 0)
    total.count = 17
    totals.keep_rtc()
    total.count = 18
    _, [reset] = boot(store, rtc, [5])
    assert reset.count == 17
    _, [cut] = boot(store, Rtc(), [5])
    assert cut.count == 10


def test_the_larger_of_both_holds():
    store, rtc = Store(), Rtc()
    totals, [total] = boot(store, rtc, [5])
    total.count = 10
    totals.keep_rtc()
    total.count = 12
    totals.offer(total, 0)  # flash is ahead
    _, [again] = boot(store, rtc, [5])
    assert again.count == 12


def test_rtc_memory_that_is_not_ours_or_damaged_counts_for_nothing():
    store, rtc = Store(), Rtc()
    totals, [total] = boot(store, rtc, [5])
    total.count = 10
    totals.offer(total, 0)
    total.count = 20
    totals.keep_rtc()
    whole = rtc.content
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            rtc.content = damaged
            assert boot(store, rtc, [5])[1][0].count == 10
    rtc.content = whole
    assert boot(store, rtc, [5])[1][0].count == 20


def test_after_every_start_the_first_value_is_doubted_and_no_other():
    store = Store()
    totals, [total] = boot(store, Rtc(), [5])
    total.count = 10
    totals.offer(total, 0)
    totals, [total] = boot(store, Rtc(), [5])
    assert [totals.offer(total, 0) for _ in range(2)] == [(10, PULSES_LOST), (10, NONE)]
    assert total.suspicions == 1


def test_a_stall_is_a_suspicion_only_if_a_pulse_came_at_all():
    totals, [total] = boot(Store(), Rtc(), [5])
    total.stalled = True
    assert totals.offer(total, 0) == (0, NONE)
    total.stalled = True
    total.count += 1
    assert totals.offer(total, 0) == (1, PULSES_LOST)
    assert totals.offer(total, 0) == (1, NONE) and total.suspicions == 1


def test_several_inputs_are_one_write_and_the_same_count_is_none():
    store = Store()
    totals, both = boot(store, Rtc(), [5, 6])
    for total in both:
        total.count = 4
    assert [totals.offer(total, 0) for total in both] == [(4, NONE), (4, NONE)]
    assert store.writes == 1
    totals.offer(both[0], 0)
    assert store.writes == 1


def test_a_private_total_moves_at_its_interval_and_flash_tells_no_more_than_it():
    store = Store()
    totals = Totals(store, Rtc().memory)
    private, public = totals.open(5, 3600_000, 0), totals.open(6, 0, 0)
    offered = []
    for now_ms in range(0, 7200_001, 600_000):
        private.count += 1
        public.count += 1
        offered.append(totals.offer(private, now_ms)[0])
        totals.offer(public, now_ms)
        assert Totals(store, Rtc().memory).open(5, 0, 0).count == offered[-1]
    assert offered == [0] * 6 + [7] * 6 + [13]
    private.suspect()
    assert totals.offer(private, 7200_002) == (13, NONE)  # it says so with the value that it concerns
    private.count += 1
    assert totals.offer(private, 7200_000 + 3600_000) == (14, PULSES_LOST)


def test_a_restart_gives_no_private_total_away():
    store, rtc = Store(), Rtc()
    totals = Totals(store, rtc.memory)
    private = totals.open(5, 3600_000, 0)
    private.count = 9
    totals.keep_rtc()
    totals, [private] = boot(store, rtc, [5], 3600_000, 1000)
    assert private.count == 9
    assert totals.offer(private, 3600_000)[0] == 0
    assert totals.offer(private, 3601_000)[0] == 9


def test_a_total_comes_back_with_its_input():
    store = Store()
    totals, [one, two] = boot(store, Rtc(), [5, 6])
    one.count, two.count = 10, 20
    totals.offer(one, 0)
    totals, [two] = boot(store, Rtc(), [6])  # a site without the first
    two.count += 1
    totals.offer(two, 0)
    _, [two, one] = boot(store, Rtc(), [6, 5])
    assert (one.count, two.count) == (10, 21)


def test_totals_beyond_32_bits_are_exact():
    store, rtc = Store(), Rtc()
    totals, [total] = boot(store, rtc, [5])
    total.count = 2**32 - 1
    totals.offer(total, 0)
    total.count += 2
    totals.keep_rtc()
    assert totals.offer(total, 0)[0] == 2**32 + 1
    assert boot(store, Rtc(), [5])[1][0].count == boot(Store(), rtc, [5])[1][0].count == 2**32 + 1


STEP = st.tuples(
    st.sampled_from(
        ["pulses", "offer", "second", "reset", "cut", "cut before", "cut after", "flash fails", "flash works"]
    ),
    st.integers(0, 3),
    st.integers(0, 40),
)


@settings(max_examples=400)
@given(st.lists(STEP, max_size=80), st.sampled_from([(0, 0), (0, 60_000), (60_000, 0)]))
def test_nothing_offered_is_ever_taken_back_and_only_the_quantum_is_lost(steps, persist_ms):
    store, rtc, now_ms = Store(), Rtc(), 0
    offered = [0, 0]  # the last of each input
    counted = [0, 0]  # since the start, by a counter that nothing stops
    lost = [0, 0]
    at_write = [0, 0]  # counted - lost, when flash was last told
    at_second = [0, 0]  # the same for the RTC

    def start():
        totals = Totals(store, rtc.memory)
        return totals, [totals.open(n, persist_ms[n], now_ms) for n in range(2)]

    def restarted(powered):
        """What is lost is no more than since the last write or, where the RTC had power, the last second."""
        totals, both = start()
        for n, total in enumerate(both):
            before = counted[n] - lost[n]
            least = max(at_write[n], at_second[n]) if powered else at_write[n]
            assert offered[n] <= total.count <= before and total.count >= least
            lost[n] += before - total.count
            at_second[n] = total.count if powered else 0
        return totals, both

    totals, both = start()
    for what, which, amount in steps:
        which %= 2
        if what == "pulses":
            both[which].count += amount
            counted[which] += amount
        elif what == "second":
            now_ms += 1000 * amount
            totals.keep_rtc()
            at_second = [total.count for total in both]
        elif what == "reset":
            totals, both = restarted(True)
        elif what == "cut":
            rtc = Rtc()
            totals, both = restarted(False)
        elif what.startswith("flash"):
            store.works = what == "flash works"
        else:
            store.cut = what[4:] if what.startswith("cut") else ""
            due = [total.is_due(now_ms) for total in both]
            try:
                value, reason = totals.offer(both[which], now_ms)
            except PowerCut:
                store.cut, rtc = "", Rtc()
                totals, both = restarted(False)
                at_write = [max(kept, total.count) for kept, total in zip(at_write, both, strict=True)]
                continue
            store.cut = ""
            assert value >= offered[which]
            offered[which] = value
            if reason != STUCK and due[which]:
                at_write = [total.count if d else kept for total, d, kept in zip(both, due, at_write, strict=True)]
            if reason != STUCK and not persist_ms[which]:
                assert value == both[which].count == counted[which] - lost[which]
    for n in range(2):
        assert both[n].count == counted[n] - lost[n]
