"""A board on the desk: a port for esptool, mpremote and the `satama` commands."""

from .desk import Desk

__all__ = ["Desk"]
