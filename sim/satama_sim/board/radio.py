"""The network interfaces as the firmware sees them: Wi-Fi station and Ethernet, with their states and the world's misfortunes."""

from __future__ import annotations

from ..timeline import Event, Timeline

IDLE, CONNECTING, GOT_IP = 1000, 1001, 1010
BEACON_TIMEOUT, NO_AP_FOUND, WRONG_PASSWORD = 200, 201, 202
ETH_INITIALIZED, ETH_STARTED, ETH_STOPPED, ETH_DISCONNECTED, ETH_GOT_IP = 0, 1, 2, 4, 5
WIFI, LAN = 0, 1

_ASSOCIATE_US = 1_800_000  # scan, association and DHCP
_SEARCH_US = 3_000_000  # until "no access point found" is said
_BEACON_US = 2_000_000  # until a lost access point is noticed
_DHCP_US = 900_000


class Radio:
    """`air` is False while the access point is off, `cable` is False while the Ethernet plug is out."""

    def __init__(self, timeline: Timeline, access_points: dict[str, str]):
        self.timeline = timeline
        self.access_points = access_points
        self.air = True
        self.cable = True
        self.rssi = -61
        self.reset()

    def reset(self) -> None:
        self.active = [False, False]
        self.status = [IDLE, ETH_INITIALIZED]
        self._wanted: tuple[str, str] | None = None
        for event in getattr(self, "_pending", []):
            if event:
                event.cancel()
        self._pending: list[Event | None] = [None, None]

    def up(self) -> bool:
        """Can packets travel?"""
        return (self.air and self.status[WIFI] == GOT_IP) or (self.cable and self.status[LAN] == ETH_GOT_IP)

    def _later(self, interface: int, delay_us: int, status: int) -> None:
        if self._pending[interface]:
            self._pending[interface].cancel()

        def change() -> None:
            self.status[interface] = status
            if interface == WIFI and status in (BEACON_TIMEOUT, NO_AP_FOUND) and self._wanted:
                self._seek()  # the driver goes on trying by itself

        self._pending[interface] = self.timeline.after(delay_us, change)

    def activate(self, interface: int, on: bool) -> None:
        if on == self.active[interface]:
            return
        self.active[interface] = on
        if interface == WIFI:
            self.disconnect()
        elif on:
            self.status[LAN] = ETH_STARTED
            self._later(LAN, _DHCP_US, ETH_GOT_IP if self.cable else ETH_DISCONNECTED)
        else:
            self._later(LAN, 0, ETH_STOPPED)
            self.status[LAN] = ETH_STOPPED

    def connect(self, ssid: str, password: str) -> int:
        """0, or -1 where the driver refuses (not active, already connecting)."""
        if not self.active[WIFI] or self.status[WIFI] in (CONNECTING, GOT_IP):
            return -1
        self._wanted = (ssid, password)
        self.status[WIFI] = CONNECTING
        self._seek()
        return 0

    def _seek(self) -> None:
        assert self._wanted
        ssid, password = self._wanted
        if not self.air or ssid not in self.access_points:
            self._later(WIFI, _SEARCH_US, NO_AP_FOUND)
        elif self.access_points[ssid] != password:
            self._later(WIFI, _ASSOCIATE_US, WRONG_PASSWORD)
        else:
            self._later(WIFI, _ASSOCIATE_US, GOT_IP)

    def disconnect(self) -> None:
        self._wanted = None
        if self._pending[WIFI]:
            self._pending[WIFI].cancel()
        self.status[WIFI] = IDLE

    def set_air(self, on: bool) -> None:
        self.air = on
        if self.status[WIFI] == GOT_IP and not on:
            self._later(WIFI, _BEACON_US, BEACON_TIMEOUT)
        elif self._wanted:
            if on and self.status[WIFI] == GOT_IP:
                self._later(WIFI, 0, GOT_IP)
            else:
                self._seek()

    def set_cable(self, on: bool) -> None:
        self.cable = on
        if self.active[LAN]:
            self._later(LAN, _DHCP_US if on else 100_000, ETH_GOT_IP if on else ETH_DISCONNECTED)
