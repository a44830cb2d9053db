"""`gc`: the VM's own; an explicit collection costs what it costs the board. (`gc` is no extensible module: board_boot puts this in its place.)"""

from gc import *

import link

tidy = collect  # without a cost: for the simulator's own purposes


def collect():
    link.spend("gc_us")
    return tidy()
