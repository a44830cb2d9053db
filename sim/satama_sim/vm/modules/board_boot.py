"""Started by the host in the VM: puts the board's modules in place, mounts its flash at / and runs boot.py, main.py and the prompt, as stock firmware does."""

import io
import json
import sys

import link

link.call(0)  # HELLO
_birth = json.loads(link.data())
link.costs = _birth["costs"]

import board_asyncio
import board_gc
import board_micropython
import machine
import network
import os
import random
import select
import socket
import ssl
import time

random.seed(_birth["seed"])
time.rtc_offset_us = _birth["rtc_offset_us"]
machine._reset_cause = _birth["reset_cause"]
os.machine = _birth["machine"]
machine._unique_id = bytes(_birth["unique_id"])
if _birth["has_counter"]:
    machine.Counter = machine._Counter

for _name, _module in (
    ("_asyncio", board_asyncio),  # so that asyncio takes it and not the C one
    ("gc", board_gc),
    ("micropython", board_micropython),
    ("uos", os),
    ("usocket", socket),
    ("ussl", ssl),
    ("uselect", select),
    ("utime", time),
):
    sys.modules[_name] = _module

sys.path.append(_birth["frozen"])  # what stock firmware freezes and the unix port does not
import umqtt.simple

import esp32
import vfs

_OFF = 0xFFFFFFFF
_HERE = __file__[: __file__.rfind("/") + 1]
_PROMPT_BYTES = 65536  # judged: its source, compiled, and something to work with
_space = {"__name__": "__main__"}  # what boot.py and main.py leave, the prompt finds


def _mount():
    """What the port's frozen _boot.py and inisetup.py do with the `vfs` partition."""
    vfs.umount("/")
    partition = esp32.Partition("vfs")
    try:
        filesystem = vfs.VfsLfs2(partition, mtime=False)
    except OSError:
        first = bytearray(512)
        partition.readblocks(0, first)
        while any(byte != 0xFF for byte in first):
            print(
                "The filesystem appears to be corrupted. If you had important data there, you may want to make a flash snapshot."
            )
            time.sleep(3)
        vfs.VfsLfs2.mkfs(partition)
        filesystem = vfs.VfsLfs2(partition, mtime=False)
    vfs.mount(filesystem, "/")
    os.chdir("/")


def execute(source, name, kind):
    """Run it while Ctrl-C may stop it. Returns what ended it: an exception, or None at its end."""
    try:
        code = compile(source, name, kind)
        link.call(9, 3)
        exec(code, _space)
    except BaseException as error:
        return error
    finally:
        link.call(9, _OFF)


def report(error):
    """An exception as the board shows it: what are Python modules here is C code there, and has no lines in a traceback."""
    try:
        text = io.StringIO()
        sys.print_exception(error, text)
        for line in text.getvalue().split("\n")[:-1]:
            if _HERE not in line:
                print(line)
    except (MemoryError, UnicodeError):  # no room to sift it, or it names what is no text
        sys.print_exception(error)


def _run(path):
    """False when the file was there and ended in an exception."""
    try:
        with open(path) as file:
            source = file.read()
    except OSError:
        return True
    error = execute(source, path, "exec")
    if error:
        report(error)
    return not error


try:
    _mount()
except OSError as error:  # the partition is none for a filesystem
    report(error)
sys.path[:] = ["", ".frozen", "/lib"]
board_gc.collect()
if _run("boot.py") and not _birth["raw_repl"]:  # the port's main.c: main.py only after a boot.py that went well
    _run("main.py")

try:
    bytearray(_PROMPT_BYTES)
except MemoryError:  # what main.py has left fills the heap
    _space.clear()
board_gc.tidy()
link.call(5)  # IDLE: from here on only the prompt runs
_prompt = {"execute": execute, "report": report}
exec(compile(link.data(), _HERE + "board_repl.py", "exec"), _prompt)
_prompt["run"](_birth["raw_repl"])
link.call(4, 1)  # RESET
