"""Which broker to try next: every name of the site in turn, each with all its addresses. Pure.

Where the last connection was is tried first, for it was good; but the first name of the site is the one that is wanted, so it is its turn
again once it has been left alone for a while.
"""

from micropython import const

_AGAIN_MS = const(1800000)
_HOME_MS = const(3600000)
_GOOD_MS = const(60000)  # a connection that lasted so long was a good one


class Places:
    """`count`: how many names there are. They are called by their index."""

    def __init__(self, count):
        self._count = count
        self._start = 0  # where this round through the names began
        self.at = 0
        self._tried = []  # addresses of the name at hand
        self._address = None  # tried last
        self._left = 0  # addresses of that name which are to be tried
        self._good = None  # where the last connection was
        self._missed_ms = 0  # when the first name failed last
        self._since_ms = None  # of the connection

    def begin(self, now):
        """A try begins: the first name again, if its time has come."""
        self._address = None
        self._left = 0
        if self.at and not self._tried and self.at == self._start and now - self._missed_ms >= _AGAIN_MS:
            self.at = self._start = 0

    def choose(self, addresses):
        """One of the addresses of the name at hand, None when all have been tried."""
        left = [address for address in addresses if address not in self._tried]
        if self._good in left:
            left.remove(self._good)
            left.insert(0, self._good)
        self._left = len(left) - 1
        self._address = left[0] if left else None
        return self._address

    @property
    def more_to_try(self):
        """Is there another address or name in this round?"""
        return self._left > 0 or (self.at + 1) % self._count != self._start

    def failed(self, now):
        """It was in vain, with the address that was chosen last or with the name; or a connection there is gone.

        A good connection is tried once more where it was. True when it was the last address of a name that failed.
        """
        since_ms, self._since_ms = self._since_ms, None
        if since_ms is not None and now - since_ms >= _GOOD_MS:
            return False
        if not self.at:
            self._missed_ms = now
        if self._address and self._left > 0:
            self._tried.append(self._address)
            self._left -= 1
            return False
        self.at = (self.at + 1) % self._count
        self._tried = []
        self._address = None
        self._left = 0
        return True

    def connected(self, now):
        """There it is: the next round begins here."""
        self._good = self._address
        self._tried = []
        self._start = self.at
        self._since_ms = now

    def away(self, now):
        """Connected for an hour with another than the first: it is time to see whether that one is back."""
        return self.at > 0 and self._since_ms is not None and now - self._since_ms >= _HOME_MS
