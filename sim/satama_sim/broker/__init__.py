"""MQTT 3.1.1 brokers for the simulator: our own core (virtual time, or asyncio) and a runner for real mosquitto.

`core`       sans-IO broker: bytes and time go in, bytes come out; deterministic
`serve`      the same core on asyncio sockets, in a loop of yours or in a thread
`mosquitto`  starts, kills and restarts a real mosquitto, the independent check
`packets`    the codec below them
"""

from .core import Broker, Connection, Message

__all__ = ["Broker", "Connection", "Message"]
