"""`micropython`: the VM's own; which key interrupts is the board's business. (No extensible module: board_boot puts this in its place.)"""

from micropython import *

import link


def kbd_intr(key):
    """-1: none does."""
    link.call(9, key & 0xFFFFFFFF)
