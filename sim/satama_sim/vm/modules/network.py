"""`network` of the ESP32 port: WLAN and LAN as state machines that live in the host."""

import json

import link

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_BEACON_TIMEOUT = 200
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
ETH_INITIALIZED = 0
ETH_STARTED = 1
ETH_STOPPED = 2
ETH_CONNECTED = 3
ETH_DISCONNECTED = 4
ETH_GOT_IP = 5
PHY_LAN8710 = 0
PHY_LAN8720 = 1
PHY_IP101 = 2
PHY_RTL8201 = 3
PHY_W5500 = 102

_WIFI = 0
_LAN = 1


def hostname(name=None):
    return name or "satama"


def country(code=None):
    return code or "FI"


class _Interface:
    def active(self, on=None):
        return bool(link.look(50, self._number << 2 | (2 if on is None else bool(on))))

    def ifconfig(self, *_):
        if self.isconnected():
            return ("10.77.0.10", "255.255.255.0", "10.77.0.1", "10.77.0.1")
        return ("0.0.0.0",) * 4

    def ipconfig(self, name=None, **_):
        return self.ifconfig()[:2] if name == "addr4" else None


class WLAN(_Interface):
    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1

    def __init__(self, interface=STA_IF):
        self._number = _WIFI

    def connect(self, ssid=None, key=None, **_):
        self._need_active()
        if link.call(51, _WIFI, (ssid or "").encode() + b"\0" + (key or "").encode()) < 0:
            raise OSError("Wifi Internal Error")

    def _need_active(self):
        if not self.active():
            raise OSError("Wifi Not Started")

    def disconnect(self):
        self._need_active()
        link.call(52, _WIFI)

    def isconnected(self):
        return link.look(53, _WIFI) == STAT_GOT_IP

    def status(self, what=None):
        if what is None:
            return link.look(53, _WIFI)
        if what != "rssi":
            raise ValueError("unknown status param")
        if not self.isconnected():
            raise OSError("Wifi Not Connected")
        return link.look(55, _WIFI)

    def scan(self):
        self._need_active()
        link.call(54, _WIFI)
        return [(ssid.encode(), b"\x02\0\0\0\0\x01", 6, rssi, 3, False) for ssid, rssi in json.loads(link.data())]

    def config(self, *names, **values):
        global _reconnects
        for name in names + tuple(sorted(values)):
            if name not in _WIFI_SETTINGS:
                raise ValueError("unknown config param")
        if "reconnects" in values:
            _reconnects = values["reconnects"]
            link.call(56, _reconnects + 1)
        if names:
            return {"mac": _mac, "reconnects": lambda: _reconnects}.get(names[0], lambda: None)()


_reconnects = -1  # for ever
_WIFI_SETTINGS = (
    "mac",
    "ssid",
    "essid",
    "channel",
    "hostname",
    "dhcp_hostname",
    "reconnects",
    "txpower",
    "protocol",
    "pm",
)


def _mac():
    import machine

    return machine.unique_id()


class LAN(_Interface):
    """Its keywords are those of ports/esp32/network_lan.c: anything else is a TypeError, a PHY without its pins a ValueError."""

    def __init__(
        self,
        id=0,
        *,
        phy_type,
        phy_addr,
        mdc=None,
        mdio=None,
        power=None,
        reset=None,
        ref_clk=None,
        ref_clk_mode=-1,
        spi=None,
        cs=None,
        int=None,
    ):
        if None in ((spi, cs, int) if phy_type == PHY_W5500 else (mdc, mdio)):
            raise ValueError("mdc and mdio must be specified")
        self._number = _LAN

    def isconnected(self):
        return link.look(53, _LAN) == ETH_GOT_IP

    def status(self):
        return link.look(53, _LAN)

    def config(self, name):
        if name != "mac":
            raise ValueError("unknown config param")
        return _mac()
