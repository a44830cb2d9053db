"""Network, time and broker: (what was seen, what to do) for each row. See checklist.py."""

from __future__ import annotations

from .cabling import Cabling
from .row import Row, Words, at, in_words

_WEAK_DBM = -78  # below that an ESP32 loses packets (judgement, as most site surveys ask for -70)


def _network(row: Row, cabling: Cabling) -> tuple[str, str]:
    wifi = f"Wi-Fi '{cabling.ssid}'" if cabling.ssid else "the Wi-Fi"
    if row.said == "up":
        rssi = row.number("rssi")
        if rssi and rssi < _WEAK_DBM:
            row.remark = True
            return f"{wifi} is weak: {rssi} dBm", "turn or move the antenna, out of the metal cabinet if need be"
        return f"up, {rssi} dBm" if rssi else "up", ""
    if told := in_words(_NETWORK, row, wifi=wifi):
        return told
    if row.of == "lan":
        return f"no Ethernet ({row.said})", "push the plug in until it clicks; the lamps at both ends must be lit"
    return (
        f"not connected ({row.said})",
        f"is the access point on, and {wifi} within reach? Then check its name in the site file",
    )


_NETWORK: Words = {
    "no access point": (
        "{wifi} is not seen here",
        "is its access point on? look for {wifi} with a phone beside the closed cabinet; it must be a 2.4 GHz network",
    ),
    "wrong Wi-Fi password": (
        "{wifi} does not take the password",
        "correct the password in the site file, then flash the site again",
    ),
    "Wi-Fi not let in": ("{wifi} does not let this board in", "let its operator admit the board's MAC address"),
    "no cable": (
        "the Ethernet plug is out, or nothing is at its other end",
        "push it in until it clicks; a lamp must be lit",
    ),
    "no address from DHCP": (
        "the cable is in, but no address comes",
        "ask the network's operator whether this socket is switched on, and gives addresses (DHCP)",
    ),
}


def _address(row: Row, _: Cabling) -> tuple[str, str]:
    server = row.text("name_server")
    return f"{row.said}, name server {server}" if server else row.said, ""


_TIME: Words = {
    "no answer": (
        "no time server answers ({servers})",
        "ask the network's operator to let UDP port 123 out, or for a time server inside, and name it in the site file",
    ),
    "not believed": (
        "what the time servers say contradicts the clock, or each other ({servers})",
        "compare one of them with your phone; name better ones in the site file. A step back takes minutes to be believed",
    ),
    "no time server": ("no time server is named: the clock is not set from here", ""),
}


def _time(row: Row, cabling: Cabling) -> tuple[str, str]:
    if row.said == "set":
        return f"set by time server, right to {row.number('uncertainty_ms')} ms", ""
    servers = cabling.time_servers or "the time servers of the site file"
    return in_words(_TIME, row, servers=servers) or (row.said, "")


_BROKER: Words = {  # by how the reason begins
    "connection refused": ("is reachable, but no broker listens", "is the broker running? is the port right?"),
    "refused: user or password": (
        "does not take user or password",
        "correct them in the site file, then flash the site again",
    ),
    "refused: not authorised": (
        "does not let this gateway in",
        "let the broker's operator admit this gateway's user or certificate (its access list)",
    ),
    "refused:": ("refuses this gateway", "show its operator the reason in brackets"),
    "no such name": (
        "has a name that nobody knows here",
        "check the broker's name in the site file, or the name server",
    ),
    "name server": (
        "is not found: the name server does not help",
        "ask the network's operator for a working one (DNS)",
    ),
    "no name server": ("is not found: the network names no name server", "ask its operator, or write an IP address"),
    "no answer": (
        "does not answer",
        "is the way out open? ask the network's operator to let its port through the firewall",
    ),
    "wrong CA": ("shows a certificate of another CA", "put the right CA file beside the site file: satama certs"),
    "wrong host name": (
        "shows a certificate for another name",
        "write the name that is in the certificate into the site file",
    ),
    "certificate expired": (
        "shows a certificate that has expired",
        "let its operator renew it; is the time line green?",
    ),
    "certificate not yet valid": (
        "shows a certificate that is not valid yet",
        "is the time line green? then ask its operator",
    ),
    "client certificate": (
        "does not take this gateway's certificate",
        "let its operator admit it, or have a new one made, then flash the site again",
    ),
    "certificate": ("shows a certificate that cannot be trusted", "check its chain with the operator: satama certs"),
    "no TLS": ("does not speak TLS at this port", "is it the TLS port (usually 8883)? else ask its operator"),
    "TLS": ("speaks another TLS than this gateway", "it needs TLS 1.2; show its operator the reason in brackets"),
    "handshake timed out": ("does not end the TLS handshake", "is the way slow or filtered? try again"),
    "closed in the handshake": ("hangs up during the TLS handshake", "let its operator look for the reason in the log"),
    "clock not set": ("needs the time first: certificates are checked by the date", "get the time line green"),
    "closed": ("hangs up", "let its operator look for the reason in the log: two gateways with one name?"),
    "protocol error": ("breaks the rules of MQTT 3.1.1", "is it an MQTT broker? is it the right port?"),
}


def _broker(row: Row, cabling: Cabling) -> tuple[str, str]:
    if row.said == "confirms":
        return f"has confirmed {row.number('confirmed')} packets", ""
    here = f"{at(cabling.broker)} ({row.said})"
    if told := in_words(_BROKER, row):
        return told[0] + here, told[1]
    if row.ok is None:
        return row.said, ""
    return f"cannot be reached{here}", "show the reason in brackets to those who run the broker"


ABOUT = {"network": _network, "address": _address, "time": _time, "broker": _broker}
