"""A consumer at a real broker: hands over every message of a topic filter, at QoS 1, in order of arrival."""

from __future__ import annotations

import threading
from collections.abc import Callable

from paho.mqtt import client as mqtt

from ..network.far_end import FarEndError, require_reachable

_PATIENCE_S = 5


class Subscriber:
    """Calls `on_message(topic, payload)` in a thread of its own. Raises FarEndError when the broker refuses or stays silent."""

    def __init__(self, address: str, topic_filter: str, on_message: Callable[[str, bytes], None], client_id: str = ""):
        host, port = require_reachable(address)
        self._topic_filter = topic_filter
        self._ready = threading.Event()
        self._refused = ""
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id or None, clean_session=not client_id
        )
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda client, data, message: on_message(message.topic, message.payload)
        self._client.reconnect_delay_set(1, 2)
        self._client.connect_async(host, port, keepalive=30)
        self._client.loop_start()
        if not self._ready.wait(_PATIENCE_S) or self._refused:
            self.close()
            raise FarEndError(
                f"the broker at {address} does not let a subscriber in ({self._refused or 'no answer'}) -> check its access rules"
            )

    def _connected(self, client: mqtt.Client, data: object, flags: object, reason: mqtt.ReasonCode, *_: object) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            self._ready.set()
        else:
            client.subscribe(self._topic_filter, qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
