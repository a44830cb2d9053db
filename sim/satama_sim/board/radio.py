"""The network interfaces as the firmware sees them: Wi-Fi station and Ethernet, with their states and the world's misfortunes."""

from __future__ import annotations

from collections.abc import Callable

from ..timeline import Event, Timeline

IDLE, CONNECTING, GOT_IP = 1000, 1001, 1010
BEACON_TIMEOUT, NO_AP_FOUND, WRONG_PASSWORD = 200, 201, 202
ETH_INITIALIZED, ETH_STARTED, ETH_STOPPED, ETH_CONNECTED, ETH_DISCONNECTED, ETH_GOT_IP = 0, 1, 2, 3, 4, 5
WIFI, LAN = 0, 1
FOR_EVER = -1  # the driver's own attempts to reconnect

_LEFT = 8  # the reason after disconnect()
_ASSOCIATE_US = 1_800_000  # scan, association and DHCP
_SEARCH_US = 3_000_000  # until "no access point found" is said
_BEACON_US = 2_000_000  # until a lost access point is noticed
_LINK_US = 100_000  # until a plug that comes or goes is noticed
_DHCP_US = 900_000


class Radio:
    """`air` is False while the access point is off, `cable` is False while the Ethernet plug is out.

    `status` follows ports/esp32/network_wlan.c: the driver tries for ever by itself, what it failed of stays visible until it
    succeeds, and a lost access point shows as "connecting".
    """

    def __init__(self, timeline: Timeline, access_points: dict[str, str]):
        self.timeline = timeline
        self.access_points = access_points
        self.air = True
        self.cable = True
        self.rssi = -61
        self._pending: list[Event | None] = [None, None]
        self.reset()

    def reset(self) -> None:
        for event in self._pending:
            if event:
                event.cancel()
        self.active = [False, False]
        self.status = [IDLE, ETH_INITIALIZED]
        self.reconnects = FOR_EVER
        self._wanted: tuple[str, str] | None = None
        self._connected = False
        self._reason = 0
        self._failures = 0
        self._pending = [None, None]

    def up(self) -> bool:
        """Can packets travel?"""
        return (self.air and self.status[WIFI] == GOT_IP) or (self.cable and self.status[LAN] == ETH_GOT_IP)

    def _later(self, interface: int, delay_us: int, change: Callable[[], None]) -> None:
        pending = self._pending[interface]
        if pending:
            pending.cancel()
        self._pending[interface] = self.timeline.after(delay_us, change)

    # --- Wi-Fi

    def connect(self, ssid: str, password: str) -> int:
        """0, or -1 where the driver refuses: it is connected, or still trying."""
        if not self.active[WIFI] or self._connected or self._trying():
            return -1
        self._wanted, self._failures = (ssid, password), 0
        self._seek()
        return 0

    def disconnect(self) -> None:
        if self._connected or self._trying():
            self._reason = _LEFT
        self._wanted, self._connected = None, False
        pending = self._pending[WIFI]
        if pending:
            pending.cancel()
        self._show()

    def set_air(self, on: bool) -> None:
        self.air = on
        if self._connected and not on:
            self._later(WIFI, _BEACON_US, lambda: self._failed(BEACON_TIMEOUT))
        elif self._connected:
            self._later(WIFI, 0, self._show)  # back before anybody noticed
        elif self._trying():
            self._seek()

    def _trying(self) -> bool:
        return self._wanted is not None and (self.reconnects == FOR_EVER or self._failures <= self.reconnects)

    def _seek(self) -> None:
        assert self._wanted
        ssid, password = self._wanted
        if not self.air or ssid not in self.access_points:
            self._later(WIFI, _SEARCH_US, lambda: self._failed(NO_AP_FOUND))
        elif self.access_points[ssid] != password:
            self._later(WIFI, _ASSOCIATE_US, lambda: self._failed(WRONG_PASSWORD))
        else:
            self._later(WIFI, _ASSOCIATE_US, self._succeeded)
        self._show()

    def _succeeded(self) -> None:
        self._connected, self._reason = True, 0
        self._show()

    def _failed(self, reason: int) -> None:
        self._connected, self._reason = False, reason
        self._failures += 1
        if self._trying():
            self._seek()
        self._show()

    def _show(self) -> None:
        if self._connected:
            status = GOT_IP
        elif self._reason in (NO_AP_FOUND, WRONG_PASSWORD):
            status = self._reason
        elif self._reason == _LEFT:
            status = IDLE
        elif self._trying():
            status = CONNECTING
        else:
            status = self._reason or IDLE
        self.status[WIFI] = status

    # --- both

    def activate(self, interface: int, on: bool) -> None:
        if on == self.active[interface]:
            return
        self.active[interface] = on
        if interface == WIFI:
            self.disconnect()
        elif on:
            self.status[LAN] = ETH_STARTED
            if self.cable:
                self._later(LAN, _LINK_US, self._plugged)
        else:
            self._later(LAN, 0, lambda: self._say(ETH_STOPPED))
            self.status[LAN] = ETH_STOPPED

    # --- Ethernet

    def set_cable(self, on: bool) -> None:
        self.cable = on
        if self.active[LAN]:
            self._later(LAN, _LINK_US, self._plugged if on else lambda: self._say(ETH_DISCONNECTED))

    def _plugged(self) -> None:
        self.status[LAN] = ETH_CONNECTED
        self._later(LAN, _DHCP_US - _LINK_US, lambda: self._say(ETH_GOT_IP))

    def _say(self, status: int) -> None:
        self.status[LAN] = status
