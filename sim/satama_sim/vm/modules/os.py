"""`os`: the VM's own, with the board's entropy instead of the host's."""

from uos import *

import random


def urandom(count):
    return bytes(random.getrandbits(8) for _ in range(count))


def uname():
    return ("esp32", "esp32", "1.24.0", "simulated", "Simulated board with ESP32")
