"""The prompt behind the end of main.py: friendly and raw, as MicroPython's shared/runtime/pyexec.c has it, and Ctrl-C."""

import pytest

from satama_sim.board.wait import SimError
from satama_sim.vm.modules.ops import HARD, SOFT, WATCHDOG

LOOP = """
import time
harbour = 7
print("up")
while True:
    time.sleep_ms(50)
"""
RAW = "raw REPL; CTRL-B to exit\r\n>"
GREETING = 'Type "help()" for more information.\r\n>>> '


@pytest.fixture
def typed(lab):
    """A function that boots a board and returns another: typed(keys) -> what the console shows for them."""

    def boot(main, **options):
        board = lab(main, **options)
        board.run(1)

        def keys(data, seconds=1):
            start = len(board.console)
            board.board.send_console(data)
            board.run(seconds)
            return board.console[start:]

        keys.lab = board
        return keys

    return boot


def test_ctrl_c_stops_what_runs_and_its_names_stay(typed):
    keys = typed(LOOP)
    assert not keys.lab.board.idle
    shown = keys(b"\x03")
    assert shown.startswith('Traceback (most recent call last):\n  File "main.py", line ')
    assert "link.py" not in shown and "KeyboardInterrupt" in shown and shown.endswith(GREETING)
    assert keys.lab.board.idle
    assert "\n7\n" in keys(b"harbour\r")


def test_what_a_line_is_typed_as_is_what_runs(typed):
    keys = typed("")
    assert keys(b"1 + 1\r") == "1 + 1\r\n2\n>>> "
    assert keys(b"for i in range(2):\r  print(i)\r\r").endswith("... \r\n0\n1\n>>> ")
    assert keys(b"(1,\r2)\r").endswith("(1, 2)\n>>> ")
    assert keys(b"prinn\x7ft(5)\r").endswith("\r\n5\n>>> ")
    assert "ZeroDivisionError" in keys(b"1 // 0\r")
    assert keys(b"half a li\x03").endswith("\r\n>>> ")
    assert keys(b"\x05a = 3\rprint(a * 2)\r\x04").endswith("\r\n6\n>>> ")
    assert "SyntaxError" in keys(b")\r")


def test_the_raw_prompt_divides_output_from_errors(typed):
    keys = typed("x = 3")
    assert keys(b"\r\x01").endswith(RAW)
    assert keys(b"print(x)\x04") == "OK3\n\x04\x04>"
    failed = keys(b"print(x)\nraise OSError(2)\x04")
    assert failed.startswith("OK3\n\x04Traceback") and "ENOENT" in failed and failed.endswith("\x04>")
    assert keys(b"nonsense(\x03print(4)\x04") == "OK4\n\x04\x04>"
    assert keys(b"\x01") == RAW
    assert keys(b"\x02").endswith(GREETING)


def test_raw_paste_has_flow_control(typed):
    keys = typed("")
    keys(b"\x01")
    source = b"print(8)\n" + b"#" * 200
    assert keys(b"\x05A\x01") == "R\x01\ufffd\x00\x01"
    assert keys(source) == "\x01"
    assert keys(b"\x04") == "\x048\n\x04\x04>"
    assert keys(b"\x05X\x01") == "R\x00>"
    keys(b"\x05A\x01while True:")
    assert "KeyboardInterrupt" in keys(b"\x03")


def test_a_soft_reset_keeps_the_mode_and_the_raw_one_skips_main(typed):
    keys = typed("import machine\nprint('cause', machine.reset_cause())", files={"boot.py": "print('boot')"})
    friendly = keys(b"\x04", 2)
    assert friendly.startswith("\r\nMPY: soft reboot\r\nboot\ncause ")
    assert keys.lab.said("cause")[-1] == str(SOFT)
    keys(b"\x01")
    raw = keys(b"\x04", 2)
    assert raw == "OK\r\nMPY: soft reboot\r\nboot\n" + RAW
    keys(b"import machine\nmachine.reset()\x04", 2)
    assert keys.lab.said("cause")[-1] == str(HARD)
    assert [why for _, why in keys.lab.board.resets[1:]] == ["soft reset", "soft reset", "reset by the firmware"]
    keys(b"\x01")
    assert "MPY: soft reboot" in keys(b"raise SystemExit\x04", 2)


def test_code_that_computes_and_asks_for_nothing_is_stopped_too(typed):
    keys = typed("", silence_s=0.3)
    keys(b"\x01")
    keys.lab.board.send_console(b"while True: pass\x04")
    assert "KeyboardInterrupt" in keys(b"\x03", 2)
    assert keys(b"print(5)\x04") == "OK5\n\x04\x04>"


def test_a_program_that_waits_for_a_line_without_asking_gets_it(lab):
    board = lab("import sys\nprint('hello', sys.stdin.readline())\n", silence_s=0.3)
    board.at(1, lambda: board.board.send_console(b"quay\n"))
    board.run(2)
    assert board.said("hello") == ["quay"]


def test_a_program_that_hangs_is_told_however_much_is_typed(lab):
    board = lab("while True: pass\n", silence_s=0.3)
    board.at(1, lambda: board.board.send_console(bytes(2000)))
    with pytest.raises(SimError, match="hangs"):
        board.run(2)


def test_a_firmware_can_turn_ctrl_c_off_and_on(typed):
    keys = typed(
        """
import micropython, time
micropython.kbd_intr(-1)
time.sleep(5)
print("still here")
micropython.kbd_intr(24)
time.sleep(100)
"""
    )
    assert not keys.lab.board.interruptible
    assert keys(b"\x03", 6) == "still here\n"
    assert keys(b"\x03") == ""
    assert "KeyboardInterrupt" in keys(b"\x18")


def test_ctrl_c_ends_every_kind_of_waiting(typed):
    for waiting in (
        "import time; time.sleep(100)",
        "import select; select.poll().poll(100000)",
        "import asyncio\nasync def nap():\n    await asyncio.sleep(100)\nasyncio.run(nap())",
        "import socket; socket.getaddrinfo('nowhere.example', 80)",
        "import network; n = network.WLAN(); n.active(True); n.scan()",
    ):
        keys = typed("import time\ntime.sleep(2)\n" + waiting)
        keys.lab.run(1.5)
        assert "KeyboardInterrupt" in keys(b"\x03"), waiting


def test_the_watchdog_bites_at_the_prompt(typed):
    keys = typed("import machine\nmachine.WDT(timeout=20000)\nprint('up', machine.reset_cause())")
    assert keys.lab.board.idle
    keys.lab.run(25)
    assert keys.lab.said("up")[-1] == str(WATCHDOG)


def test_keys_that_come_faster_than_the_line_keep_their_order(typed):
    keys = typed("")
    keys.lab.board.send_console(b"a = 'first'   # and a long remark, which takes its time on the wire\r")
    assert keys(b"a\r").endswith("'first'\n>>> ")


def test_what_is_no_text_is_an_error_and_the_prompt_lives_on(typed):
    keys = typed("")
    assert "SyntaxError" in keys(b"\xff\xfequay\x80\r")
    assert "NameError" in keys(b"\x05quay\xef\xb1\r\x04")
    assert keys(b"2 + 2\r").endswith("\r\n4\n>>> ")
