"""The way out: Wi-Fi or Ethernet behind one interface. Never a reboot as a first answer."""

import asyncio

import network
from machine import Pin
from micropython import const

_CONNECT_S = const(30)
_PAUSE_MS = const(1000)  # an immediate second connect() fails with "Wifi Internal Error"


class WifiLink:
    """`spec`: the compiled site's "network"."""

    def __init__(self, spec):
        self._ssid = spec["ssid"]
        self._password = spec["password"]
        self._wlan = network.WLAN(network.STA_IF)
        self.attempts = 0

    def is_up(self):
        return self._wlan.isconnected()

    def rssi(self):
        try:
            return self._wlan.status("rssi")
        except OSError:
            return 0

    async def bring_up(self):
        """Try once; True when the interface has an address. Takes at most about 32 s."""
        self.attempts += 1
        wlan = self._wlan
        wlan.active(True)
        if wlan.isconnected():
            return True
        try:
            wlan.disconnect()
        except OSError:
            pass
        await asyncio.sleep_ms(_PAUSE_MS)
        try:
            wlan.connect(self._ssid, self._password)
        except OSError:
            return False
        for _ in range(_CONNECT_S * 4):
            await asyncio.sleep_ms(250)
            if wlan.isconnected():
                return True
            if wlan.status() == network.STAT_WRONG_PASSWORD:
                break
        return False

    def take_down(self):
        """Start over with the interface, for drivers that got stuck."""
        self._wlan.active(False)


class EthernetLink:
    """`spec` names the PHY and its management pins, as the board file gives them."""

    def __init__(self, spec):
        self._lan = network.LAN(
            mdc=Pin(spec["mdc"]),
            mdio=Pin(spec["mdio"]),
            power=None,
            phy_type=getattr(network, "PHY_" + spec["phy"]),
            phy_addr=spec["phy_addr"],
        )
        self.attempts = 0

    def is_up(self):
        return self._lan.isconnected()

    def rssi(self):
        return 0

    async def bring_up(self):
        """Try once; True when the interface has an address. Takes at most 30 s."""
        self.attempts += 1
        self._lan.active(True)
        for _ in range(_CONNECT_S * 4):
            if self._lan.isconnected():
                return True
            await asyncio.sleep_ms(250)
        return False

    def take_down(self):
        self._lan.active(False)


def link(spec):
    """The link that a site's "network" asks for."""
    return EthernetLink(spec) if spec["kind"] == "lan" else WifiLink(spec)
