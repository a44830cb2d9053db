"""`gc`: the VM's own; an explicit collection costs what it costs the board. (`gc` is no extensible module: board_boot puts this in its place.)"""

from gc import *

import link

_collect = collect


def collect():
    link.spend("gc_us")
    return _collect()
