"""Names and addresses of other machines, as site files give them."""

import ipaddress
from typing import Annotated, Any

from pydantic import BeforeValidator

from ..core.problems import Wrong


def host_name(value: Any) -> str:
    """Raises Wrong."""
    hint = 'a host name or address alone, e.g. "broker.kalasatama.example"'
    if not isinstance(value, str):
        raise Wrong("must be text in quotes", hint)
    if not value or len(value) > 253 or not all(c.isascii() and (c.isalnum() or c in "-._:") for c in value):
        raise Wrong("is not a host", hint + (" (no scheme, no path)" if "/" in value else ""))
    return value


def _broker(value: Any) -> str:
    name, colon, port = host_name(value).partition(":")
    if ":" in port:
        raise Wrong("is an IPv6 address; the gateway speaks IPv4", "a host name, or an IPv4 address")
    if colon and not (port.isdigit() and 0 < int(port) < 65536):
        raise Wrong("has no port 1..65535 after the colon", 'e.g. "b.kalasatama.example:8884"')
    if not name:
        raise Wrong("is not a host", 'e.g. "b.kalasatama.example:8884"')
    if name.replace(".", "").isdigit() and not is_address(name):
        raise Wrong("is not an IPv4 address", "four numbers 0..255, e.g. 192.168.1.20")
    return value


def is_address(name: str) -> bool:
    """An IPv4 address, as opposed to a name?"""
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


Host = Annotated[str, BeforeValidator(host_name)]
BrokerHost = Annotated[str, BeforeValidator(_broker)]
