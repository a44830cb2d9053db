"""Ethernet, with the methods that wifi.py tells: a PHY on the chip's own MAC, or a W5500 on SPI."""

import asyncio

import network
from machine import Pin
from micropython import const

from gateway.uplink.network.wifi import NO_NETWORK, name_servers

_CONNECT_S = const(30)
_STEP_MS = const(250)
_PINS = ("mdc", "mdio", "power", "ref_clk", "cs", "int", "reset")  # keywords of network.LAN


class EthernetLink:
    """`spec`: see host_tools/satama/boards/lan.py."""

    def __init__(self, spec):
        how = {name: Pin(spec[name]) for name in _PINS if name in spec}
        if "ref_clk_out" in spec:
            how["ref_clk_mode"] = Pin.OUT if spec["ref_clk_out"] else Pin.IN
        if "spi" in spec:
            from machine import SPI

            number, sck, mosi, miso = spec["spi"]
            how["spi"] = SPI(number, sck=Pin(sck), mosi=Pin(mosi), miso=Pin(miso))
        self._lan = network.LAN(phy_type=getattr(network, "PHY_" + spec["phy"]), phy_addr=spec["phy_addr"], **how)
        self.reason = NO_NETWORK

    def is_up(self):
        return self._lan.isconnected()

    def rssi(self):
        return 0

    def is_linked(self):
        return self._lan.status() in (network.ETH_CONNECTED, network.ETH_GOT_IP)

    def dns_servers(self):
        return name_servers(self._lan)

    def address(self):
        return self._lan.ifconfig()[0]

    async def bring_up(self, alive):
        """Takes at most 30 s."""
        self._lan.active(True)
        for _ in range(_CONNECT_S * 1000 // _STEP_MS):
            alive()
            if self._lan.isconnected():
                return True
            await asyncio.sleep_ms(_STEP_MS)
        self.reason = "no address from DHCP" if self.is_linked() else "no cable"
        return False

    def take_down(self):
        self._lan.active(False)
