"""The same seed gives the same run, and nothing that a firmware or a machine does leaves host and VM waiting for each other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import START_US, WIFI_UP, Server, echo

from satama_sim.board.board import SimError

BUSY = (
    WIFI_UP
    + """
import asyncio, gc, machine, os, random, socket
from esp32 import NVS, Partition
print("chance", random.getrandbits(30), random.randint(0, 999), os.urandom(8).hex())
count = [0]
machine.Pin(32, machine.Pin.IN).irq(lambda _: count.__setitem__(0, count[0] + 1), machine.Pin.IRQ_FALLING)
uart = machine.UART(1, 9600, tx=17, rx=16)
part = Partition("journal")
async def serial():
    for n in range(20):
        uart.write(b"ask%d" % n)
        await asyncio.sleep_ms(37)
        print("serial", uart.read())
async def net():
    reader, writer = await asyncio.open_connection("pier.example", 80)
    for n in range(20):
        writer.write(b"%d\\n" % random.getrandbits(20))
        await writer.drain()
        print("net", await reader.readline(), time.ticks_us())
async def disk():
    for n in range(10):
        part.writeblocks(n, os.urandom(64), 0)
        with open("log.txt", "a") as file:
            file.write(str(time.ticks_us()))
        await asyncio.sleep_ms(100)
async def main():
    await asyncio.gather(serial(), net(), disk())
    gc.collect()
    print("end", time.ticks_us(), count[0])
asyncio.run(main())
"""
)


def busy(lab, seed):
    board = lab(BUSY, seed=seed)
    board.serve_tcp("pier.example", 80, Server(echo))
    board.pulses(32, [START_US + 1_000_000 + n * 77_777 for n in range(50)])
    end = board.wire()
    for n in range(15):
        board.at(3 + n / 20, lambda n=n: end.send(b"tell%d" % n))
    board.run(10)
    assert board.said("end")
    return board.text, board.board.calls, bytes(board.flash.data), end.heard


def test_the_same_seed_gives_the_same_run(lab):
    assert busy(lab, 7) == busy(lab, 7)


def test_chance_comes_from_the_seed(lab):
    main = "import os, random\nprint('chance', random.getrandbits(30), os.urandom(16).hex())\n"

    def chance(seed):
        board = lab(main, seed=seed)
        board.run(1)
        board.power_off()
        board.power_on()
        board.run(1)
        return board.said("chance")

    first = chance(1)
    assert chance(1) == first
    assert first[0] != first[1]  # a restart is another throw
    assert chance(2) != first


def test_slices_of_a_run_do_not_change_what_happens(lab):
    main = """
import asyncio, time
async def main():
    for n in range(30):
        await asyncio.sleep_ms(71)
        time.sleep_us(137)
        print(n, time.ticks_us())
asyncio.run(main())
"""
    whole, sliced = lab(main), lab(main)
    whole.run(3)
    for _ in range(300):
        sliced.run(0.01)
    assert sliced.text == whole.text
    assert len(whole.lines) == 30


def test_a_run_ends_when_it_should(lab):
    board = lab("import time\nwhile True:\n    time.sleep(1000)\n    print('tick', time.ticks_ms() // 1000)\n")
    board.run(1500)
    assert board.timeline.now_us == 1_500_000_000
    assert board.said("tick") == ["1000"]


def test_a_vm_that_is_killed_from_outside_is_an_error_in_a_sentence(lab):
    board = lab("import time\nprint('up')\nwhile True:\n    time.sleep_ms(10)\n")
    board.run(1)
    os.kill(board.board._vm._process.pid, signal.SIGKILL)
    with pytest.raises(SimError, match=r"the MicroPython process ended.*; the last that it printed: up$"):
        board.run(5)
    board.power_off()
    board.power_on()
    board.run(1)
    assert board.lines == ["up", "up"]


def test_a_hang_without_a_watchdog_is_an_error_in_a_sentence(lab):
    board = lab("print('up')\nwhile True:\n    pass\n", silence_s=0.3)
    with pytest.raises(SimError, match="the firmware hangs and no watchdog is on"):
        board.run(5)
    assert board.lines == ["up"]


def test_megabytes_on_the_console_do_not_jam_it(lab):
    board = lab(
        """
import time
row = "fish" * 256
for n in range(3000):
    print(n, row)
print("done", time.ticks_ms())
time.sleep(1)
print("after")
"""
    )
    board.run(5)
    assert board.said("done")
    assert board.lines[-1] == "after"
    assert len(board.text) > 3_000_000
    assert board.lines[1234] == "1234 " + "fish" * 256


def test_a_firmware_that_prints_for_ever_counts_as_hanging(lab):
    board = lab(
        "import machine\nprint('cause', machine.reset_cause())\nif machine.reset_cause() == 1:\n"
        "    machine.WDT(timeout=1000)\n    while True:\n        print('storm')\n",
        silence_s=0.3,
    )
    board.run(5)
    assert board.said("cause")[0] == "1"
    assert board.text.endswith("cause 3\n")  # behind whatever the reset cut off


@pytest.mark.parametrize(
    ("main", "trace"),
    [
        ("x = {}\nprint('up')\nx['missing']\n", "KeyError: missing"),
        ("import sys\nprint('up')\nsys.exit(3)\n", "SystemExit: 3"),
        ("print('up')\nraise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("print('up')\nx = []\nwhile True:\n    x.append(bytearray(1 << 20))\n", "MemoryError"),
        ("print('up')\ndef f(): f()\nf()\n", "RuntimeError: maximum recursion depth exceeded"),
        (
            "import asyncio\nprint('up')\nasync def f():\n    raise ValueError('deep')\nasyncio.run(f())\n",
            "ValueError: deep",
        ),
    ],
)
def test_a_firmware_that_fails_ends_idle_with_its_traceback(lab, main, trace):
    board = lab(main)
    board.run(60)
    assert board.board.idle
    assert board.lines[0] == "up"
    assert board.lines[-1].startswith(trace)
    assert "Traceback" in board.text


def test_a_firmware_that_does_not_compile_ends_idle(lab):
    board = lab("print('up'\n")
    board.run(5)
    assert board.board.idle
    assert "SyntaxError" in board.text


def test_main_runs_only_after_a_boot_that_went_well(lab):
    board = lab("print('main')", {"boot.py": "print('boot')"})
    board.run(1)
    assert board.lines == ["boot", "main"]
    board = lab("print('main')", {"boot.py": "raise OSError(5)"})
    board.run(1)
    assert "main" not in board.lines
    assert board.board.idle


def test_the_watchdog_runs_on_after_a_failure(lab):
    board = lab(
        "import machine\nprint('cause', machine.reset_cause())\nif machine.reset_cause() == 1:\n"
        "    machine.WDT(timeout=5000)\n    raise ValueError\n"
    )
    board.run(10)
    assert board.said("cause") == ["1", "3"]


def test_what_is_typed_arrives_at_the_pace_of_the_line(lab):
    board = lab(
        """
import select, sys, time
poller = select.poll()
poller.register(sys.stdin, select.POLLIN)
got = 0
while got < 1000:
    poller.poll()
    sys.stdin.buffer.read(1)
    got += 1
print("typed", time.ticks_ms())
"""
    )
    board.at(1, lambda: board.board.send_console(bytes(1000)))
    board.run(3)
    assert int(board.said("typed")[0]) >= 1000 - START_US / 1000 + 1000 * 10 / 115.2
    board.power_off()
    board.board.send_console(b"into the void")
    board.run(1)
    board.power_on()
    board.run(1)
    board.board.send_console(bytes(995))
    board.run(3)
    assert len(board.said("typed")) == 1  # five are missing


def test_the_children_are_gone_with_the_lab(lab):
    board = lab("import time\ntime.sleep(100)\n")
    board.run(1)
    pid = board.board._vm._process.pid
    board.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


HOST = """
import sys
sys.path.insert(0, sys.argv[1])
from lab import Lab
lab = Lab("print('up')\\nwhile True: pass\\n", silence_s=60)
print(lab.board._vm._process.pid, flush=True)
lab.run(5)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process by the end of a pipe")
def test_a_vm_that_hangs_ends_with_its_host_even_when_that_is_killed():
    words = [sys.executable, "-c", HOST, str(Path(__file__).parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as host:
        vm = Path("/proc", host.stdout.readline().strip(), "stat")
        time.sleep(0.5)  # by then it computes
        assert vm.exists()
        host.kill()
    end = time.monotonic() + 20
    while vm.exists() and vm.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.02)
