"""What is known of the time servers between two polls; whom to believe, time_judge.py says."""

from micropython import const

APART_MS = const(50000)  # polls that follow one another faster confirm nothing
CONFIRM = const(5)
LONG = const(30)

# what the clock rests on
NOBODY = const(0)
CARRIED = const(1)
SINGLE = const(2)
SEVERAL = const(3)


class Votes:
    """`configured`: how many servers there are. Its state is a few numbers, whatever the servers say."""

    def __init__(self, configured):
        self.configured = configured
        self.rests_on = NOBODY
        self.refused = 0  # answers that were not believed
        self.confirmed = 0  # polls in which the single witness said what the clock says
        self.since_ms = 0  # uptime since when the clock stands as it does
        self.told = 0  # bits: servers that have been reported as refused, until they say the right thing again
        self.story = None  # offset that waits for confirmation
        self.story_polls = 0
        self.story_ms = 0
        self.counted_ms = -APART_MS

    def carried(self, uptime_ms):
        """The clock was taken over from before a restart: who had set it is not known."""
        self.rests_on = CARRIED
        self.since_ms = uptime_ms

    @property
    def in_doubt(self):
        """Ask again in a minute?"""
        if self.story is not None:
            return self.story_polls < LONG
        return self.rests_on < SEVERAL and self.confirmed < CONFIRM
