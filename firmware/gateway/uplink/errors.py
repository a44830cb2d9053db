"""What the uplink raises: its reasons are short texts, for they go to people as they are."""


class LinkDown(Exception):
    """There is no connection (any more), for the reason given in a few words."""


class ProtocolError(Exception):
    """The broker sent what MQTT 3.1.1 forbids, or what this gateway never asked for; what it was, in a few words."""
