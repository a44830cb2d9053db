"""From the Ethernet of a board to what the device hands to network.LAN (MicroPython, ports/esp32/network_lan.c)."""

from typing import Any

from .model import Lan


def compile_lan(lan: Lan) -> dict[str, Any]:
    """phy, phy_addr, and of the rest what the board has: GPIOs by the names of LAN's own keywords, "spi" as [id, sck, mosi, miso].

    ref_clk_out is 1 where the chip makes the 50 MHz clock for the PHY, 0 where the PHY makes it.
    """
    pins = {"mdc": lan.mdc, "mdio": lan.mdio, "power": lan.power, "ref_clk": lan.ref_clk}
    pins |= {"cs": lan.cs, "int": lan.irq, "reset": lan.reset}
    how: dict[str, Any] = {"phy": lan.phy, "phy_addr": lan.phy_addr}
    how |= {name: gpio for name, gpio in pins.items() if gpio is not None}
    if lan.ref_clk_mode:
        how["ref_clk_out"] = int(lan.ref_clk_mode == "out")
    if lan.sck is not None:
        how["spi"] = [lan.spi, lan.sck, lan.mosi, lan.miso]
    return how
