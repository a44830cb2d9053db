"""The way out of the cabinet: interface, supervisor, MQTT client, what to send, time servers."""

import os


class Outlet:
    """`link`, `client`, `supervisor`, `sender`, `time` and its `notes`: what wiring.way_out() has put together."""

    def __init__(self, link, client, supervisor, sender, time, notes):
        self.link = link
        self.client = client
        self.supervisor = supervisor
        self.sender = sender
        self.time = time
        self._notes = notes

    def about(self):
        """How the connection is; `stall_ms`: the longest that a step of each kind has held up the buses since last asked."""
        client = self.client
        about = self.supervisor.about()
        about["in_flight"] = client.in_flight
        about["sent_again"] = client.sent_again
        about["stray_pubacks"] = client.stray_pubacks
        about["protocol_errors"] = client.protocol_errors
        about["stall_ms"] = client.take_stalls()
        if client.renewal:
            about["ca_next"] = client.renewal.ca_next
            about["client_next"] = client.renewal.client_next
        return about

    async def keep_time(self, alive):
        """Ask the time servers, for ever."""
        await self.time.run(self.link.is_up, self._notes.told, alive)


def random_below(limit):
    return int.from_bytes(os.urandom(3), "big") % limit
