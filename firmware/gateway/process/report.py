"""Report by exception: which values of a stream are worth sending, behind its window."""

from gateway.process.filters.reporting import Deadband


class ByException(Deadband):
    """The first value; one that differs by `change` or more from the last reported, or in its quality byte; and one
    `heartbeat_s` after the last report (0: none), so that silence means trouble. The rule of the filter "deadband"."""

    def due(self, mantissa, quality_byte, now_s):
        """Is this value reported? Then the next ones are compared with it. now_s: seconds of uptime."""
        return self.apply(mantissa, quality_byte, now_s) is not None
