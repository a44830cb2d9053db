"""What the gateway raises: small integers, no texts. Whoever shows an error to a person finds the words for it."""

from gateway.core.quality import INVALID


class GatewayError(Exception):
    """`reason` is one of the reason codes of core.quality."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


class FrameError(GatewayError):
    """A frame or a record that is damaged (SHORT, CRC) or impossible (INVALID, OVERFLOW)."""


class SettingError(GatewayError):
    """A compiled site asks for something that this firmware does not have or allow (INVALID)."""


def require(condition):
    """SettingError(INVALID) unless it holds."""
    if not condition:
        raise SettingError(INVALID)
