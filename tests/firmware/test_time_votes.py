"""Whom the gateway believes about the time, and what an answer of a time server is worth."""

import struct
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.clock import sntp
from gateway.uplink.clock.judge import judge, largest
from gateway.uplink.clock.votes import CARRIED, SEVERAL, SINGLE, Votes

MINUTE, HOUR, DAY, YEAR = 60_000, 3_600_000, 86_400_000, 365 * 86_400_000
TRUE = 848_000_000_000  # UTC minus uptime


class Trial:
    """A clock under a judge: polls a minute apart, unless told otherwise. `events`: what was reported."""

    def __init__(self, configured, near=None, carried=False):
        self.votes, self.near, self.now_ms, self.events = Votes(configured), near, 5_000, []
        if carried:
            self.votes.carried(self.now_ms)

    def poll(self, *offsets, times=1, every=MINUTE, uncertainty=10, absurd=()):
        """Each offset is what a server says (None: silent). The poll that set the clock or moved it by over an hour first, or 0."""
        moved = 0
        for at in range(times):
            self.now_ms += every
            witnesses = [(index, said, uncertainty) for index, said in enumerate(offsets) if said is not None]
            rows = [(index, said, uncertainty) for index, said in absurd]
            believed, refused = judge(self.votes, witnesses, rows, self.near, self.now_ms)
            self.events += refused
            if believed:
                leap = self.near is None or abs(believed[0] - self.near) > 1.1 * HOUR
                self.near = believed[0]
                if leap and not moved:
                    moved = at + 1
        return moved


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 90)), min_size=1, max_size=4), st.integers(0, 400))
def test_the_largest_group_is_the_largest_set_of_intervals_with_a_common_moment(said, near):
    witnesses = [(index, *row) for index, row in enumerate(said)]
    slack = 50

    def meet(group):
        low = max(offset - uncertainty - slack for _, offset, uncertainty in group)
        return low <= min(offset + uncertainty + slack for _, offset, uncertainty in group)

    sizes = [n for n in range(1, len(said) + 1) for group in combinations(witnesses, n) if meet(group)]
    group, alone = largest(witnesses, near)
    assert len(group) == max(sizes) and meet(group)
    others = [w for w in witnesses if w not in group]
    assert alone or any(meet(rival) for rival in combinations(others, len(group)))


def test_three_servers_outvote_a_liar_and_report_it_once():
    trial = Trial(4)
    assert trial.poll(TRUE + 20, TRUE + 10 * YEAR, TRUE, TRUE - 15) == 1
    assert abs(trial.near - TRUE) <= 20
    assert trial.poll(TRUE, TRUE + 10 * YEAR, TRUE, None, times=50) == 0
    assert [server for server, _, _ in trial.events] == [1]
    assert trial.votes.refused == 51
    trial.poll(TRUE, TRUE, TRUE, None)
    trial.poll(TRUE, TRUE - YEAR, TRUE, None)
    assert [server for server, _, _ in trial.events] == [1, 1]  # a new lie, after it had been right


@pytest.mark.parametrize("leap", [HOUR, -HOUR, HOUR + 2_000, 600])
def test_an_hour_is_believed_at_once_even_of_a_single_server(leap):
    trial = Trial(1, TRUE)
    trial.poll(TRUE + leap)
    assert trial.near == TRUE + leap and not trial.events


def test_a_single_server_moves_the_clock_by_hours_after_five_polls_that_say_the_same():
    trial = Trial(1)
    trial.poll(TRUE, times=20)
    assert trial.poll(TRUE + 5 * HOUR, times=9) == 5
    assert len(trial.events) == 1


def test_a_story_that_was_contradicted_begins_anew():
    trial = Trial(1)
    trial.poll(TRUE, times=20)
    for contradiction in (TRUE, TRUE + 7 * HOUR):
        for _ in range(9):
            assert trial.poll(TRUE + 5 * HOUR, times=4) == 0
            assert trial.poll(contradiction) == 0


def test_polls_in_a_hurry_confirm_nothing():
    trial = Trial(1)
    trial.poll(TRUE, times=20)
    # the first one tells the story; of those that follow, only one in 50 s counts
    assert trial.poll(TRUE + 5 * HOUR, times=200, every=2_000) == 4 * 25


def test_several_configured_servers_of_which_one_answers_do_not_move_the_clock_by_hours():
    trial = Trial(3)
    trial.poll(TRUE, TRUE, None)
    assert trial.votes.rests_on == SEVERAL
    assert trial.poll(TRUE + 5 * HOUR, None, None, times=3_000) == 0
    assert trial.poll(TRUE + 5 * HOUR, None, TRUE + 5 * HOUR) == 1  # two that agree may


def test_a_single_server_that_lies_by_years_is_refused_and_reported_once():
    trial = Trial(1)
    trial.poll(TRUE, times=10)
    assert trial.poll(TRUE + 10 * YEAR, times=1_400) == 0
    assert [row[1] for row in trial.events] == [TRUE + 10 * YEAR]
    assert trial.votes.refused == 1_400
    assert not trial.votes.in_doubt  # no need to ask each minute for ever
    assert trial.poll(TRUE) == 0 and trial.near == TRUE


def test_a_first_answer_that_was_the_lie_is_corrected_after_thirty_polls():
    trial = Trial(1)
    trial.poll(TRUE + 10 * YEAR)
    assert trial.votes.rests_on == SINGLE and trial.votes.in_doubt
    assert trial.poll(TRUE, times=60) == 30
    assert trial.poll(TRUE, times=60) == 0 and trial.near == TRUE


def test_what_a_restart_carried_over_is_corrected_after_thirty_polls():
    trial = Trial(2, TRUE + YEAR, carried=True)
    assert trial.votes.rests_on == CARRIED
    assert trial.poll(TRUE, None, times=60) == 30


def test_a_story_of_years_by_the_only_witness_wins_only_when_it_was_told_for_longer():
    trial = Trial(1)
    trial.poll(TRUE)
    trial.poll(TRUE, times=72, every=HOUR)
    assert trial.poll(TRUE + YEAR, times=100, every=HOUR) == 74  # the clock had stood for 73 hours


def test_two_servers_that_contradict_each_other_set_a_clock_only_after_five_polls():
    trial = Trial(2)
    assert trial.poll(TRUE, TRUE + YEAR, times=9) == 5
    assert trial.near == TRUE and trial.events[0][0] == 1
    trial = Trial(2, TRUE)
    trial.poll(TRUE + YEAR, TRUE + 30)
    assert trial.near == TRUE + 30  # a clock that is set decides


def test_absurd_answers_have_no_vote_and_are_reported_once():
    trial = Trial(2)
    assert trial.poll(None, TRUE, absurd=[(0, 0)]) == 1
    trial.poll(None, None, times=9, absurd=[(0, 0)])
    assert trial.events == [(0, 0, 10)] and trial.near == TRUE


offsets = st.integers(-(2**45), 2**45) | st.sampled_from([TRUE, TRUE + HOUR, TRUE + DAY, TRUE + YEAR])


@given(st.integers(1, 4), st.lists(st.tuples(st.lists(offsets, max_size=4), st.integers(0, 2 * HOUR)), max_size=40))
def test_any_answers_whatever_leave_a_verdict_of_their_making(configured, polls):
    votes, near, now_ms = Votes(configured), None, 0
    for said, wait in polls:
        now_ms += wait
        witnesses = [(index, offset, 16_000) for index, offset in enumerate(said[:configured])]
        believed, refused = judge(votes, witnesses, [], near, now_ms)
        assert all(row in witnesses for row in refused)
        if believed:
            low, high = min(said[:configured]), max(said[:configured])
            assert low - 16_050 <= believed[0] <= high + 16_050 and 0 <= believed[1] <= 16_050
            near = believed[0]


# --- answers

NONCE = b"12345678"
FLOOR = 848_000_000
NTP_2000 = 3_155_673_600


def packet(first=0x24, stratum=2, delay=0, dispersion=0, name=b"GPS\0", seconds=FLOOR, fraction=0):
    head = struct.pack(">BBbbII4s8x8s8x", first, stratum, 6, -20, delay, dispersion, name, NONCE)
    return head + struct.pack(">II", (seconds + NTP_2000) & 0xFFFFFFFF if seconds is not None else 0, fraction)


def test_an_answer_is_read_with_its_uncertainty():
    said = packet(delay=1 << 15, dispersion=1 << 14, seconds=FLOOR + 5, fraction=1 << 31)
    assert len(said) == 48 and sntp.answers(said, NONCE) and not sntp.answers(said, b"87654321")
    assert not sntp.answers(said[:47], NONCE)
    assert sntp.read(said, FLOOR) == (sntp.ANSWER, FLOOR + 5, 500, 500)


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (packet(first=0x23), sntp.NOTHING),  # a client
        (packet(first=0xE4), sntp.NOTHING),  # not synchronised
        (packet(stratum=16), sntp.NOTHING),
        (packet(dispersion=16 << 16), sntp.NOTHING),
        (packet(seconds=None), sntp.NOTHING),
        (packet(stratum=0, name=b"INIT"), sntp.NOTHING),
        (packet(stratum=0, name=b"RATE"), sntp.SLOWER),
        (packet(stratum=0, name=b"DENY"), sntp.NEVER),
        (packet(stratum=0, name=b"RSTR"), sntp.NEVER),
    ],
)
def test_what_is_no_answer(said, what):
    assert sntp.read(said, FLOOR)[0] == what


@pytest.mark.parametrize("years", [-56, -26, -1, 0, 10, 30, 60])
def test_the_era_is_the_one_around_the_release(years):
    """1970, as a server with an empty clock says, must not look like 2106; 2036 begins a new era of NTP."""
    seconds = FLOOR + years * 31_557_600
    assert sntp.read(packet(seconds=seconds), FLOOR)[1] == seconds


@given(st.binary(min_size=48, max_size=64))
def test_no_answer_makes_the_reader_raise(said):
    what, seconds, ms, uncertainty = sntp.read(said, FLOOR)
    assert abs(seconds - FLOOR) <= 2**31 or what != sntp.ANSWER
    assert 0 <= ms <= 999 and 0 <= uncertainty < 16_000
