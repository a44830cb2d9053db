"""Whom to believe about the time: the judgement over what the time servers say. Wanted when they have spoken only.

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

from gateway.uplink.clock.votes import APART_MS, CONFIRM, LONG, NOBODY, SEVERAL, SINGLE

_DIRECT_MS = const(3660000)
_DAY_MS = const(86400000)
_SAME_MS = const(1000)
_SLACK_MS = const(50)  # servers that are right differ a little more than they admit


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


def judge(votes, witnesses, absurd, near, uptime_ms):
    """(offset and uncertainty to set the clock to, or None; the witnesses to report as refused).

    near: the clock's offset now, None while it is not set. `absurd`: witnesses to what cannot be (a time before the release of this
    firmware); they have no vote, and are reported. At most one witness of each server.
    """
    if not witnesses:
        return None, _to_report(votes, absurd, absurd)
    counts = uptime_ms - votes.counted_ms >= APART_MS
    if counts:
        votes.counted_ms = uptime_ms
    group, alone = largest(witnesses, near)
    offset, uncertainty = _estimate(group)
    if _believes(votes, group, alone, offset, near, counts, uptime_ms):
        _settle(votes, group, offset, near, counts, uptime_ms)
        refused = [w for w in witnesses if abs(w[1] - offset) > w[2] + uncertainty + _SAME_MS]
        believed = offset, uncertainty
    else:
        refused = witnesses if near is not None else []
        believed = None
    return believed, _to_report(votes, refused + absurd, witnesses + absurd)


def _believes(votes, group, alone, offset, near, counts, uptime_ms):
    if near is None:
        return alone or _told_often(votes, offset, counts, uptime_ms) >= CONFIRM
    leap_ms = abs(offset - near)
    if leap_ms <= _DIRECT_MS or len(group) > 1:
        return True
    polls = _told_often(votes, offset, counts, uptime_ms)
    if votes.configured == 1 and leap_ms < _DAY_MS:
        return polls >= CONFIRM
    if votes.rests_on == SEVERAL or polls < LONG:
        return False
    told_ms = uptime_ms - votes.story_ms
    return votes.confirmed < CONFIRM or told_ms >= max(_DAY_MS, votes.story_ms - votes.since_ms)


def _told_often(votes, offset, counts, uptime_ms):
    """In how many polls, a minute apart, this has been said."""
    if votes.story is None or abs(offset - votes.story) > _SAME_MS:
        votes.story_polls = 1
        votes.story_ms = uptime_ms
    elif counts:
        votes.story_polls += 1
    votes.story = offset  # the last one heard: over a day a story drifts by seconds, as our crystal does
    return votes.story_polls


def _settle(votes, group, offset, near, counts, uptime_ms):
    """The clock is going to be set to what the group says."""
    votes.story = None
    votes.story_polls = 0
    if near is None or abs(offset - near) > _DIRECT_MS:
        votes.rests_on = NOBODY
        votes.since_ms = uptime_ms
        votes.confirmed = 0
    if len(group) > 1:
        votes.rests_on = SEVERAL
    elif votes.rests_on < SEVERAL:
        votes.rests_on = SINGLE
        if counts:
            votes.confirmed += 1


def _to_report(votes, refused, witnesses):
    fresh = []
    names = [w[0] for w in refused]
    for w in witnesses:
        bit = 1 << w[0]
        if w[0] not in names:
            votes.told &= ~bit
        else:
            votes.refused += 1
            if not votes.told & bit:
                votes.told |= bit
                fresh.append(w)
    return fresh
