"""What stops a flash, in a sentence for people and a word for tools."""

from __future__ import annotations

WRONG_USE = 2
AGAIN = "run the same command again: until it has run through, the board starts nothing"


class FlashError(Exception):
    """`str()` is the sentence: what is wrong, where, and what to do next.

    kind   a word for tools, e.g. "wrong_chip"
    code   exit code of a command: 1 a problem was found, 2 wrong use
    changed   whether the board was changed already: then it does not start until the same command has run through
    """

    def __init__(self, text: str, kind: str, code: int = 1) -> None:
        super().__init__(text)
        self.kind, self.code, self.changed = kind, code, False
