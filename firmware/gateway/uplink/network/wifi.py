"""The interfaces: Wi-Fi, Ethernet (see ethernet.py), and whatever has the same methods (PPP over a modem, one day).

is_up()            is there an address?
bring_up(alive)    a coroutine that tries once and says whether there is; when not, `reason` says why; calls alive() as it waits
take_down()        switch it off: bring_up() then starts over with it, for drivers that got stuck
is_linked()        is there a carrier, so that only the address is missing?
dns_servers()      addresses of the name servers, as texts
address()          its own address, as text
rssi()             dBm, 0 where there is no such thing
"""

import asyncio

import network
from micropython import const

_CONNECT_S = const(30)
_PAUSE_MS = const(1000)  # an immediate second connect() fails with "Wifi Internal Error"
_STEP_MS = const(250)
NO_NETWORK = "no network"
_WIFI_REASONS = {
    200: "no access point",  # its beacon is gone
    201: "no access point",
    202: "wrong Wi-Fi password",
    203: "Wi-Fi not let in",
    204: "wrong Wi-Fi password",  # the handshake timed out: many access points show a wrong password so
}  # network.STAT_...: not every port has all the names


def name_servers(interface):
    """Those that DHCP has named."""
    server = interface.ifconfig()[3]
    return [server] if server != "0.0.0.0" else []


class WifiLink:
    """`spec`: the compiled site's "network"."""

    def __init__(self, spec):
        self._ssid = spec["ssid"]
        self._password = spec["password"]
        self._wlan = network.WLAN(network.STA_IF)
        self.reason = NO_NETWORK

    def is_up(self):
        return self._wlan.isconnected()

    def rssi(self):
        try:
            return self._wlan.status("rssi")
        except OSError:
            return 0

    def is_linked(self):
        return self.is_up()  # the driver does not tell the two apart

    def dns_servers(self):
        return name_servers(self._wlan)

    def address(self):
        return self._wlan.ifconfig()[0]

    async def bring_up(self, alive):
        """Takes at most about 32 s. What it does not reach the driver goes on trying by itself."""
        self.reason = NO_NETWORK
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
        for _ in range(_CONNECT_S * 1000 // _STEP_MS):
            await asyncio.sleep_ms(_STEP_MS)
            alive()
            if wlan.isconnected():
                return True
            status = wlan.status()
            self.reason = _WIFI_REASONS.get(status, self.reason)
            if status == network.STAT_WRONG_PASSWORD:
                break
        return False

    def take_down(self):
        self._wlan.active(False)
