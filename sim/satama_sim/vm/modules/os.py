"""`os`: the VM's own, with the board's entropy instead of the host's."""

from uos import *

import random
from collections import namedtuple

machine = ""  # what the board is called
_Uname = namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))


def urandom(count):
    return bytes(random.getrandbits(8) for _ in range(count))


def uname():
    return _Uname("esp32", "esp32", "1.24.0", "simulated", machine)
