"""Started by the host in the VM: puts the board's modules in place, mounts its flash at / and runs boot.py and main.py, as stock firmware does."""

import json
import sys

import link

link.call(0)  # HELLO
_birth = json.loads(link.data())
link.costs = _birth["costs"]

import board_asyncio
import board_gc
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
machine._unique_id = bytes(_birth["unique_id"])
if _birth["has_counter"]:
    machine.Counter = machine._Counter

for _name, _module in (
    ("_asyncio", board_asyncio),  # so that asyncio takes it and not the C one
    ("gc", board_gc),
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


def _run(path):
    """False when the file was there and ended in an exception."""
    try:
        with open(path) as file:
            source = file.read()
    except OSError:
        return True
    try:
        exec(compile(source, path, "exec"), {"__name__": "__main__"})
        return True
    except BaseException as error:  # SystemExit and KeyboardInterrupt, too, end in the REPL
        sys.print_exception(error)
        return False


_mount()
sys.path[:] = ["", ".frozen", "/lib"]
board_gc.collect()
if _run("boot.py"):  # the port's main.c: main.py only after a boot.py that went well
    _run("main.py")
link.call(5)  # IDLE
