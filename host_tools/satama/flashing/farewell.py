"""Before a board is flashed: a gateway that runs on it ends on purpose, and takes to flash what is only in its memory.

Without that its last seconds would be lost, and a board that is flashed a few times in a row, while somebody corrects a site file,
would take that for starts that failed, and go into safe mode.
"""

from __future__ import annotations

import contextlib
import time

from ..boards.board import Board
from ..core.progress import Reporter
from ..serial_line.gateway import GatewayLine, LineError
from ..serial_line.ports import PortError, is_socket, open_port

_ANSWER_S = 1.0
_LONGEST_S = 10
_RESET_S = 0.5  # from its last word to the reset
_BACK_S = 5.0  # a USB of the chip's own goes away with the reset
_AGAIN_S = 0.2


def let_it_end(port: str, board: Board, report: Reporter) -> bool:
    """Whether a gateway was there and has ended. A board that a person has put into its boot loader is not spoken to: its ROM
    measures the speed by the first bytes that it hears."""
    if is_socket(port) or board.console.reset == "by-hand":
        return False
    with report.step("ask a running gateway to end"), contextlib.suppress(PortError, LineError):
        with GatewayLine.open(port) as line:
            answer = line.request("restart", timeout_s=_ANSWER_S)
        seconds = answer.get("restarting_in_s")
        if answer.get("ok") and isinstance(seconds, int):
            time.sleep(min(max(seconds, 0), _LONGEST_S) + _RESET_S)
            _wait_for(port)
            return True
    return False


def _wait_for(port: str) -> None:
    end = time.monotonic() + _BACK_S
    while time.monotonic() < end:
        with contextlib.suppress(PortError):
            open_port(port).close()
            return
        time.sleep(_AGAIN_S)
