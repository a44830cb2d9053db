"""Whom to believe about the time: the judgement over what the time servers say.

A witness is a tuple (server, offset, uncertainty): the index of the server, UTC minus uptime in ms by its answer, and how far from the
truth that can be by its own account. Offsets to the uptime do not move on between two polls, so they can be compared.

1. Believed is the largest group whose intervals have a moment in common (Marzullo's algorithm); among equals the one nearest to the
   clock, or while it is not set the one with the server that the site names first, once it was so in 5 polls a minute apart.
2. What moves the clock by no more than an hour (and a minute to measure it by) is believed at once: a server whose summer time was
   done by hand is wrong by exactly an hour, and so was the clock that it had set. Two servers that agree are believed whatever they say.
3. A leap of more than that by a single witness is refused, and told once. It counts as a story, as long as nobody contradicts it and
   it stays the same within a second. A story of less than a day becomes true after 5 polls where there is no second server to ask.
4. The first server heard may have been the liar: then the truth comes as a leap of years. Nobody can know which of two stories of one
   server is true, so the one that was told for longer counts: a clock that only ever had a single witness (or none that is known: it
   was carried over a restart) gives way after 30 polls; one that this witness has confirmed in 5 polls gives way only after a day, and
   not before the story has been told for as long as the clock had stood. A clock that two servers have set never gives way to one.
"""

from micropython import const

_DIRECT_MS = const(3660000)
_DAY_MS = const(86400000)
_SAME_MS = const(1000)
_SLACK_MS = const(50)  # servers that are right differ a little more than they admit
_APART_MS = const(50000)  # polls that follow one another faster confirm nothing
_CONFIRM = const(5)
_LONG = const(30)

# what the clock rests on
NOBODY = const(0)
CARRIED = const(1)
SINGLE = const(2)
SEVERAL = const(3)


def _meet(witnesses, at):
    """The witnesses whose interval holds `at`."""
    return [w for w in witnesses if w[1] - w[2] - _SLACK_MS <= at <= w[1] + w[2] + _SLACK_MS]


def _estimate(group):
    """(offset, uncertainty): the middle of what all of the group can agree on."""
    low = max([w[1] - w[2] for w in group])
    high = min([w[1] + w[2] for w in group])
    return (low + high) // 2, (abs(high - low) + 1) // 2


def largest(witnesses, near):
    """(group, is it the only one of its size): lists of witnesses; `near`: the clock's offset, None while it is not set."""
    best, best_key, rivals = None, None, []
    for w in witnesses:
        group = _meet(witnesses, w[1] - w[2] - _SLACK_MS)
        distance = 0 if near is None else abs(_estimate(group)[0] - near)
        key = (-len(group), distance, min([member[0] for member in group]))
        rivals.append(group)
        if best is None or key < best_key:
            best, best_key = group, key
    members = [w[0] for w in best]
    for group in rivals:
        if len(group) == len(best) and not [w for w in group if w[0] in members]:
            return best, False
    return best, True


class Votes:
    """`configured`: how many servers there are. Its state is a few numbers, whatever the servers say."""

    def __init__(self, configured):
        self._configured = configured
        self.rests_on = NOBODY
        self.refused = 0  # answers that were not believed
        self._confirmed = 0  # polls in which the single witness said what the clock says
        self._since_ms = 0  # uptime since when the clock stands as it does
        self._told = 0  # bits: servers that have been reported as refused, until they say the right thing again
        self._story = None  # offset that waits for confirmation
        self._story_polls = 0
        self._story_ms = 0
        self._counted_ms = -_APART_MS

    def carried(self, uptime_ms):
        """The clock was taken over from before a restart: who had set it is not known."""
        self.rests_on = CARRIED
        self._since_ms = uptime_ms

    @property
    def in_doubt(self):
        """Ask again in a minute?"""
        if self._story is not None:
            return self._story_polls < _LONG
        return self.rests_on < SEVERAL and self._confirmed < _CONFIRM

    def judge(self, witnesses, absurd, near, uptime_ms):
        """(offset and uncertainty to set the clock to, or None; the witnesses to report as refused).

        near: the clock's offset now, None while it is not set. `absurd`: witnesses to what cannot be (a time before the release of this
        firmware); they have no vote, and are reported. At most one witness of each server.
        """
        if not witnesses:
            return None, self._to_report(absurd, absurd)
        counts = uptime_ms - self._counted_ms >= _APART_MS
        if counts:
            self._counted_ms = uptime_ms
        group, alone = largest(witnesses, near)
        offset, uncertainty = _estimate(group)
        if self._believes(group, alone, offset, near, counts, uptime_ms):
            self._settle(group, offset, near, counts, uptime_ms)
            refused = [w for w in witnesses if abs(w[1] - offset) > w[2] + uncertainty + _SAME_MS]
            believed = offset, uncertainty
        else:
            refused = witnesses if near is not None else []
            believed = None
        return believed, self._to_report(refused + absurd, witnesses + absurd)

    def _believes(self, group, alone, offset, near, counts, uptime_ms):
        if near is None:
            return alone or self._told_often(offset, counts, uptime_ms) >= _CONFIRM
        leap_ms = abs(offset - near)
        if leap_ms <= _DIRECT_MS or len(group) > 1:
            return True
        polls = self._told_often(offset, counts, uptime_ms)
        if self._configured == 1 and leap_ms < _DAY_MS:
            return polls >= _CONFIRM
        if self.rests_on == SEVERAL or polls < _LONG:
            return False
        told_ms = uptime_ms - self._story_ms
        return self._confirmed < _CONFIRM or told_ms >= max(_DAY_MS, self._story_ms - self._since_ms)

    def _told_often(self, offset, counts, uptime_ms):
        """In how many polls, a minute apart, this has been said."""
        if self._story is None or abs(offset - self._story) > _SAME_MS:
            self._story_polls = 1
            self._story_ms = uptime_ms
        elif counts:
            self._story_polls += 1
        self._story = offset  # the last one heard: over a day a story drifts by seconds, as our crystal does
        return self._story_polls

    def _settle(self, group, offset, near, counts, uptime_ms):
        """The clock is going to be set to what the group says."""
        self._story = None
        self._story_polls = 0
        if near is None or abs(offset - near) > _DIRECT_MS:
            self.rests_on = NOBODY
            self._since_ms = uptime_ms
            self._confirmed = 0
        if len(group) > 1:
            self.rests_on = SEVERAL
        elif self.rests_on < SEVERAL:
            self.rests_on = SINGLE
            if counts:
                self._confirmed += 1

    def _to_report(self, refused, witnesses):
        fresh = []
        names = [w[0] for w in refused]
        for w in witnesses:
            bit = 1 << w[0]
            if w[0] not in names:
                self._told &= ~bit
            else:
                self.refused += 1
                if not self._told & bit:
                    self._told |= bit
                    fresh.append(w)
        return fresh
