"""The simulator: the gateway's own firmware on the real MicroPython VM, in a world without hardware."""

from .board.board import SimError
from .cabinet import Cabinet
from .vm.path import VmMissing

__all__ = ["Cabinet", "SimError", "VmMissing"]
