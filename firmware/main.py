"""Chooses the application slot and starts it. Small on purpose: an update never replaces this file."""

import sys
import time

import machine
import slots
import vfs

chosen = [slots.Slots()]  # who takes it out is the last to know it: what chose the slot does not stay in RAM
archive = chosen[0].choose()
on_trial = chosen[0].on_trial
del slots, sys.modules["slots"]
if archive:
    vfs.mount(archive, "/slot")
    sys.path.insert(0, "/slot")
    if on_trial:
        machine.WDT(timeout=300000)  # until it has one of its own
    stays = False
    try:
        from gateway import start

        stays = start.main(chosen) or not on_trial
    except Exception as error:
        sys.print_exception(error)
    if not stays:
        print("satama: the application in", archive.path, "does not start; trying again")
        time.sleep(5)
        machine.reset()
else:
    print("satama: no application in /slot_a.bin or /slot_b.bin that is whole - flash this board again: satama flash")
