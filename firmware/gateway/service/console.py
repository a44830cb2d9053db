"""The request loop on the serial port: lines of text for people, RFC 7464 JSON sequences for tools, on the same wire.

A tool sends 0x1E, {"id": n, "op": "status"}, LF and gets 0x1E, {"id": n, "ok": true, ...}, LF. Whatever else comes over the line does
no harm: lines are bounded, and what is no request is answered with where to find help.
"""

import asyncio
import json
import sys

from micropython import const


_LONGEST = const(256)
_PIECE = const(64)  # 5 ms at 115200 baud
_RECORD_SEPARATOR = const(0x1E)
_LF = const(0x0A)
_CR = const(0x0D)
_CAN = const(0x18)  # Ctrl-X forgets a half-typed line


class Console:
    """Reads the port byte by byte, as stdin gives it without blocking."""

    def __init__(self, answerer):
        self._answerer = answerer
        self._line = bytearray()
        self._too_long = False
        self.refused = 0

    async def run(self):
        reader = asyncio.StreamReader(sys.stdin.buffer)
        while True:
            data = await reader.read(1)
            if data:
                await self.feed(data[0])

    async def feed(self, byte):
        """One byte of whatever the line carries."""
        line = self._line
        if byte == _LF or byte == _CR:
            if line or self._too_long:
                await self._handle(bytes(line))
            self._clear()
        elif byte == _RECORD_SEPARATOR or byte == _CAN:
            self._clear()
            if byte == _RECORD_SEPARATOR:
                self._line.append(byte)
        elif len(line) < _LONGEST:
            line.append(byte)
        else:
            self._too_long = True

    def _clear(self):
        self._line = bytearray()
        self._too_long = False

    async def _handle(self, line):
        if line[:1] == b"\x1e":
            await self._answer_tool(line[1:])
        else:
            await self._answer_person(line)

    async def _ask(self, *words):
        answer = self._answerer.answer(*words)
        return await answer if hasattr(answer, "send") else answer  # some have to ask a device first

    async def _answer_tool(self, line):
        number, answer = None, None
        try:
            request = None if self._too_long else json.loads(line)
            if isinstance(request, dict):
                number = request.get("id")
                answer = await self._ask(request.get("op"), request.get("of"), request.get("value"))
        except (ValueError, UnicodeError):
            pass
        if answer is None:
            self.refused += 1
            answer = {"ok": False, "error": "unknown or damaged request", "try": {"id": 1, "op": "help"}}
        else:
            answer["ok"] = True
        answer["id"] = number
        text = "\x1e" + json.dumps(answer) + "\n"
        for at in range(0, len(text), _PIECE):
            sys.stdout.write(text[at : at + _PIECE])
            await asyncio.sleep_ms(0)  # a slow line must not hold up the buses

    async def _answer_person(self, line):
        try:
            words = line.decode().split()
        except UnicodeError:
            words = ()
        name = words[0] if words else "?"
        of = words[1] if len(words) > 1 else None
        answer = None if self._too_long else await self._ask(name, of, " ".join(words[2:]) or None)
        if answer is None:
            self.refused += 1
            sys.stdout.write("no such request; try: help\r\n")
            return
        from gateway.service import wording

        for row in wording.text(name, answer):
            sys.stdout.write(row + "\r\n")
            await asyncio.sleep_ms(0)  # a slow line must not hold up the buses
