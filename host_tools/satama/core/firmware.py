"""Makes the firmware's pure modules importable here, as the package `gateway`: one decoder, one record, one definition of quality."""

from __future__ import annotations

import sys
import types

from .places import FIRMWARE


def _micropython() -> types.ModuleType:
    """The few lines that stand in for MicroPython's own module."""
    module = types.ModuleType("micropython")
    module.const = lambda value: value  # type: ignore[attr-defined]
    return module


if str(FIRMWARE) not in sys.path:
    sys.path.append(str(FIRMWARE))
sys.modules.setdefault("micropython", _micropython())
