"""The pure half of health: who is late, how often starts failed, what RTC memory holds, what a crash record says."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rtc_memory import BOOTS, CRASH, PULSES, Shared
from gateway.service import crash
from gateway.service.boots import SIZE, TOO_MANY, Boots
from gateway.service.watch import Watch


class Memory:
    def __init__(self, content=b""):
        self.content = content

    def __call__(self, content=None):
        if content is None:
            return self.content
        self.content = bytes(content)


class Clock:
    now = 5_000_000_000  # ms: no small integer any more

    def uptime_ms(self):
        return self.now


# --- RTC memory


def test_areas_do_not_touch_each_other_and_live_on():
    memory = Memory()
    one = Shared(memory)
    assert one.area(PULSES).memory() == b""
    one.area(PULSES).memory(b"pulses")
    one.area(CRASH).memory(bytearray(b"crash"))
    one.area(PULSES).memory(b"more pulses")
    again = Shared(memory)
    assert [again.area(key).memory() for key in (PULSES, BOOTS, CRASH)] == [b"more pulses", b"", b"crash"]


@given(st.binary(max_size=200))
def test_rtc_memory_that_is_not_ours_counts_for_nothing(content):
    one = Shared(Memory(content))
    one.area(BOOTS).memory(b"x")
    assert one.area(BOOTS).memory() == b"x"


@given(st.integers(0, 400), st.integers(1, 255))
def test_damage_never_gives_other_bytes(at, flip):
    memory = Memory()
    one = Shared(memory)
    wrote = {PULSES: bytes(range(100)), BOOTS: b"12345678901234", CRASH: b"{}" * 40}
    for key, content in wrote.items():
        one.area(key).memory(content)
    data = bytearray(memory.content)
    data[at % len(data)] ^= flip
    again = Shared(Memory(bytes(data)))
    assert all(again.area(key).memory() in (b"", content) for key, content in wrote.items())


# --- starts


def live(nvs, *, rtc=b"", lives=False, plans=False):
    """One start: (its Boots, what RTC memory and NVS have after it)."""
    boots = Boots(rtc, nvs)
    if lives:
        boots.lived()
    if plans:
        boots.plan()
    return boots, boots.record(7)


def test_failures_in_a_row_lead_to_safe_mode_whichever_memory_has_them():
    for in_rtc in (True, False):
        record = b""
        for start in range(TOO_MANY):
            boots, record = live(b"" if in_rtc else record, rtc=record if in_rtc else b"")
            assert (boots.number, boots.failures, boots.safe) == (start + 1, start, False)
        boots, record = live(b"" if in_rtc else record, rtc=record if in_rtc else b"")
        assert boots.safe and boots.failures == TOO_MANY and boots.last_uptime_s == 7


def test_the_memory_that_knows_of_more_starts_is_right():
    _, one = live(b"")
    _, two = live(one)
    assert Boots(two, one).failures == Boots(one, two).failures == 2


def test_a_start_that_lives_wipes_the_slate():
    _, record = live(live(live(b"")[1])[1], lives=True)
    assert Boots(b"", record).failures == 0


def test_safe_mode_lasts_longer_each_time_and_ends_in_a_trial():
    record = b""
    for _ in range(TOO_MANY):
        _, record = live(record)
    lasted = []
    for _ in range(6):
        safe, record = live(record, lives=True, plans=True)
        assert safe.safe
        lasted.append(safe.safe_s)
        trial, record = live(record)
        assert not trial.safe and trial.planned and trial.failures == safe.failures
    assert lasted == [600, 3600, 21600, 86400, 86400, 86400]
    _, record = live(record, plans=True)
    _, record = live(record, lives=True)
    assert Boots(record, b"").failures == 0


def test_safe_mode_that_fails_counts_and_the_radio_never_waits_too_long():
    record = b""
    waits = []
    for _ in range(300):
        boots, record = live(record)
        waits.append(boots.radio_ms)
    assert waits[:6] == [1000, 5000, 10000, 20000, 300000, 1800000]
    assert max(waits) == 1800000 and boots.failures == 255 and boots.safe_s == 86400


def test_a_power_that_goes_before_it_has_settled_is_nobodys_failure_but_the_radio_waits():
    record = b""
    for _ in range(10):
        boots = Boots(record, b"", True)
        record = boots.record(0)
        assert boots.failures == 0 and not boots.safe
    assert boots.radio_ms == 5000
    boots.settled()
    assert Boots(boots.record(0), b"", True).failures == 1
    assert Boots(record, b"", False).failures == 1  # the chip's own doing


def test_planned_restarts_are_no_failures():
    record = b""
    for _ in range(10):
        boots, record = live(record, plans=True)
        assert boots.failures == 0


@given(st.binary(max_size=2 * SIZE), st.binary(max_size=2 * SIZE))
def test_garbage_in_both_memories_is_a_first_start(one, two):
    boots = Boots(one, two)
    assert (boots.number, boots.failures, boots.safe, boots.powered_on) == (1, 0, False, True)


# --- progress


def test_who_is_late_the_longest_is_named():
    clock = Clock()
    watch = Watch(clock)
    alive = {name: watch.task(name, limit) for name, limit in (("one", 1000), ("two", 5000), ("three", 2000))}
    clock.now += 1000
    assert watch.late() is None
    clock.now += 1
    assert watch.late() == ("one", 1001)
    alive["one"](False)
    clock.now += 5000
    assert watch.late() == ("three", 6001)
    alive["three"]()
    alive["two"]()
    clock.now += 10**9
    assert watch.late()[0] == "three"
    alive["three"]()
    watch.task("two", 10**9)  # began anew, with other limits
    assert watch.late() is None
    alive["one"]()
    clock.now += 1001
    assert watch.late() == ("one", 1001)


# --- the record

TRACE = """Traceback (most recent call last):
  File "gateway/service/health.py", line 150, in _outcome
  File "gateway/uplink/sender.py", line 88, in _serve
ValueError: "quoted"
"""


def test_the_last_frame_is_where_it_happened():
    assert crash.where(TRACE) == "gateway/uplink/sender.py:88"
    assert crash.where("MemoryError: \n") == crash.where("") == ""


def test_no_secret_gets_into_a_record():
    error = ValueError("fish-harbour and again fish-harbour")
    assert crash.name(error, ("fish-harbour", "", None)) == "ValueError: *** and again ***"
    assert crash.name(error, None) == "ValueError"


@given(st.text(), st.text(max_size=200), st.text(max_size=20), st.booleans())
def test_a_record_is_small_and_comes_back(text, where, task, told):
    body = {"error": crash.name(ValueError(text), ()), "task": task, "at": where[-60:], "heap_free": 10**6}
    body.update(heap_largest=10**6, uptime_s=10**9, of_epoch=2**31)
    data = crash.packed(body, told)
    assert len(data) <= crash.LONGEST
    found = crash.unpacked(data)
    assert found[0] is told and found[1]["task"] == task and found[1]["uptime_s"] == 10**9
    assert found[1] == body or found[1]["error"] == "ValueError"


@given(st.binary(max_size=40))
def test_other_bytes_are_no_record(data):
    found = crash.unpacked(data)
    assert found is None or json.loads(data[1:]) == found[1]


def test_a_start_that_was_stopped_for_the_prompt_is_no_failure_and_no_planned_end():
    one = Boots(b"", b"")
    one.settled()
    one.stop()
    after = Boots(one.record(30), b"")
    assert (after.stopped, after.planned, after.failures, after.safe) == (True, False, 0, False)
    after.settled()
    assert not Boots(after.record(5), b"").stopped


def test_who_was_stopped_in_safe_mode_tries_everything_next():
    record = b""
    for _ in range(TOO_MANY):
        one = Boots(record, b"")
        one.settled()
        record = one.record(1)
    safe = Boots(record, b"")
    assert safe.safe
    safe.stop()
    assert not Boots(safe.record(9), b"").safe
