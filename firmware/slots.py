"""Which application runs: of two slots one is active, and after an update the other is on trial until it has proved itself.

What is known of it is one small blob in NVS, which is written whole or not at all:

    slot    active "a" or "b"
    state   "-" all is well, "t" the other slot is on trial, "!" its trial failed, "x" what was active cannot be used any more
    tries   starts that the trial has left
    before  what worked when the update was made, for the application to compare: its bits are the application's own

An update never replaces this module; applications of any later version rely on it.
"""

import os
from binascii import crc32
from struct import pack

from esp32 import NVS
from micropython import const

from archive import COVERED, Archive

TRIES = const(3)  # a power cut in the middle of a trial is nobody's fault
_KEY = "slot"
_PIECE = const(1024)
_CALM, _TRIAL, _FAILED, _UNUSABLE = b"-"[0], b"t"[0], b"!"[0], b"x"[0]


def path_of(slot):
    """The archive's file: `slot` is "a" or "b"."""
    return "/slot_" + slot + ".bin"


class Slots:
    """`active`, `running` ("a", "b"), `archive` (of the one that runs); `on_trial`: whether it has to prove itself."""

    def __init__(self, archive=None):
        """`archive`: of what runs already, when it is asked later on."""
        self._nvs = NVS("satama")
        self.archive = archive
        self.running = archive and archive.path[-5]
        self._kept = bytearray(b"a-\0\0")
        try:
            self._nvs.get_blob(_KEY, self._kept)
        except OSError:
            pass
        if self._kept[:1] not in (b"a", b"b"):
            self._kept[:] = b"a-\0\0"

    @property
    def active(self):
        return chr(self._kept[0])

    @property
    def idle(self):
        """The one that may be written: neither running nor active while another is tried."""
        return "b" if self.running == "a" else "a"

    @property
    def on_trial(self):
        return self._kept[1] == _TRIAL and self.running is not None and self.running != self.active

    @property
    def calm(self):
        """Whether there is nothing to tell, and nothing to prove."""
        return self._kept[1] == _CALM

    @property
    def undone(self):
        """Whether the trial of the other one has failed, and nobody was told yet."""
        return self._kept[1] == _FAILED

    @property
    def before(self):
        return self._kept[3]

    def choose(self):
        """Open the archive that is to run now; None when neither slot has one. To be called once, by main.py."""
        other = "b" if self.active == "a" else "a"
        order = self.active + other
        if self._kept[1] == _TRIAL:
            # a start that cannot be counted could be repeated for ever: then nothing is tried
            if self._kept[2] and self._keep(self.active, _TRIAL, self._kept[2] - 1):
                order = other + self.active
            else:
                self._keep(self.active, _FAILED)
        for slot in order:
            found = _usable(slot)
            if found:
                self.running, self.archive = slot, found
                break
        if self.archive and self._kept[1] == _TRIAL and self.running == self.active:
            self._keep(self.active, _FAILED)  # what should have been tried is damaged
        elif self.archive and self._kept[1] != _TRIAL and self.running != self.active:
            self._keep(self.running, _UNUSABLE if _is_there(self.active) else _CALM)  # gone: flashed anew
        return self.archive

    # --- what an application asks for

    def begin_trial(self, before):
        """From the next start on the other slot is tried. `before`: a byte that it finds as `before`. False when NVS does not take it."""
        return self._keep(self.running, _TRIAL, TRIES, before)

    def confirm(self):
        """What runs has proved itself: it is the active one now. False when NVS does not take it."""
        return self._keep(self.running, _CALM)

    def reject(self):
        """What runs is not fit: the next start takes the old one again."""
        self._keep(self.active, _FAILED)

    def news(self):
        """What the last starts have done, told once: "update_undone", "slot_damaged", or None."""
        state = self._kept[1]
        if state not in (_FAILED, _UNUSABLE):
            return None
        self._keep(self.active, _CALM)
        return "update_undone" if state == _FAILED else "slot_damaged"

    def _keep(self, active, state, tries=0, before=None):
        """False when NVS does not take it: then it holds for this start only."""
        self._kept[:] = bytes((ord(active), state, tries, self._kept[3] if before is None else before))
        try:
            self._nvs.set_blob(_KEY, self._kept)
            self._nvs.commit()
        except OSError:
            return False
        return True


def _is_there(slot):
    try:
        os.stat(path_of(slot))
        return True
    except OSError:
        return False


def _usable(slot):
    """Its archive, open and whole; None."""
    try:
        archive = Archive(path_of(slot))
    except (OSError, ValueError):
        return None
    try:
        if whole(archive):
            return archive
    except OSError:
        pass  # littlefs cannot read on: a block is damaged
    archive.close()
    return None


def whole(archive):
    """True when nothing of it is missing or damaged. Reads all of it at a stretch, some 170 KB: for the start, where nothing else runs."""
    piece = memoryview(bytearray(_PIECE))
    at, crc = COVERED, 0
    while at < archive.length:
        count = archive.read_at(at, piece[: archive.length - at])
        if not count:
            return False
        crc = crc32(piece[:count], crc)
        at += count
    return pack(">I", crc) == archive.crc and not archive.read_at(at, piece)
