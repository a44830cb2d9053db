"""The tables of a compiled site that stay in its file (core.site reads the rest)."""

import json

from micropython import const

PIECE = const(512)  # bytes read at once


class Table:
    """A table that is looked up now and then, for a birth or for the console, and read from flash each time.

    An iterable of rows (lists), with a length; an index counts from 0. `file` stays open. `renamed`: what devices are called outside.
    """

    def __init__(self, file, start, rows, column, hides=None):
        self._file = file
        self._start = start
        self.rows = rows
        self._column = column
        self._hides = hides
        self.renamed = {}  # device -> its pseudonym

    def __len__(self):
        return self.rows

    def __iter__(self):
        return self._matching(b"")

    def __getitem__(self, index):
        for at, line in enumerate(lines(self._file, self._start)):
            if at == index:
                return self._row(line)

    def of(self, device):
        """The rows of one device, by the name that it has outside."""
        name = device
        for inside in sorted(self.renamed):
            if self.renamed[inside] == device:
                name = inside
                break
        for row in self._matching(('"' + name + "/").encode()):
            if row[self._column].startswith(device + "/"):
                yield row

    def _matching(self, part):
        if not self.rows:
            return
        for at, line in enumerate(lines(self._file, self._start)):
            if at == self.rows:
                break
            if part in line:
                yield self._row(line)

    def _row(self, line):
        row = json.loads(line.rstrip(b","))
        if self.renamed and (self._hides is None or row[self._hides]):
            device, _, point = row[self._column].partition("/")
            if device in self.renamed:
                row[self._column] = self.renamed[device] + "/" + point
        return row


def lines(file, at):
    """Yield the lines from there on. Others may read from the file in between."""
    rest = b""
    while True:
        end = rest.find(b"\n")
        while end < 0:
            file.seek(at)
            piece = file.read(PIECE)
            if not piece:
                if rest:
                    yield rest
                return
            at += len(piece)
            rest += piece
            end = rest.find(b"\n")
        yield rest[:end]
        rest = rest[end + 1 :]
