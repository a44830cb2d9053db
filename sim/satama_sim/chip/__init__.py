"""A simulated ESP32, ESP32-S3 or ESP32-C3 that unmodified esptool talks to, over a pty, TCP or RFC 2217."""

from .bootable import Boot, check
from .chip import Chip
from .door import Door
from .lines import Lines
from .net_doors import Rfc2217Door, SocketDoor
from .pty_door import PtyDoor
from .serve import keep_saying, serve, served
from .stock import stock_image

__all__ = [
    "Boot",
    "Chip",
    "Door",
    "Lines",
    "PtyDoor",
    "Rfc2217Door",
    "SocketDoor",
    "check",
    "keep_saying",
    "serve",
    "served",
    "stock_image",
]
