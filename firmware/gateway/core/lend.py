"""Modules that are wanted for a moment only: who has imported one lets it go again, and the heap has room for what stays.

What it leaves behind is its names, in MicroPython's table of them. So that this table need not grow in a heap that is in use, what every
gateway wants now and then is imported once at the start, before anything else lies there (gateway.start).
"""

import sys

_PACKAGE = "gateway"


def import_all(names):
    """`names`: below this package, such as "uplink.network.dns"."""
    for name in names:
        __import__(_PACKAGE + "." + name)


def drop(*names):
    """These are imported anew when they are wanted next; who still uses one keeps it for so long."""
    for name in names:
        whole = _PACKAGE + "." + name
        if sys.modules.pop(whole, None):
            parts = whole.split(".")
            delattr(sys.modules[".".join(parts[:-1])], parts[-1])
