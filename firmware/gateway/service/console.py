"""The request loop on the serial port: lines of text for people, RFC 7464 JSON sequences for tools, on the same wire.

A tool sends 0x1E, {"id": n, "op": "status"}, LF and gets 0x1E, {"id": n, "ok": true, ...}, LF. Whatever else comes over the line does
no harm: lines are bounded, and what is no request is answered with where to find help.
"""

import asyncio
import gc
import json
import sys

from micropython import const

from gateway.core import lend

_LONGEST = const(256)
_PIECE = const(64)  # 5 ms at 115200 baud
_RECORD_SEPARATOR = const(0x1E)
_LF = const(0x0A)
_CR = const(0x0D)
_SHORT = '\n\x1e{"error": "too little memory for that now", "id": null, "ok": false}\n'
_CAN = const(0x18)  # Ctrl-X forgets a half-typed line
_CTRL_C = const(3)
_CTRL_E = const(5)  # up to here: what a tool that looks for MicroPython's prompt sends


class Console:
    """Reads the port byte by byte, as stdin gives it without blocking. `rooms` is the composition root's object."""

    def __init__(self, rooms):
        self._rooms = rooms
        self._line = bytearray()
        self._too_long = False
        self.refused = 0

    async def run(self, alive):
        """`alive()` is called with every byte; alive(False) when it waits for one."""
        reader = asyncio.StreamReader(sys.stdin.buffer)
        while True:
            alive(False)
            data = await reader.read(1)
            alive()
            if data:
                await self.feed(data[0])

    async def feed(self, byte):
        """One byte of whatever the line carries."""
        line = self._line
        if byte == _LF or byte == _CR:
            if line or self._too_long:
                await self._handle(bytes(line))
            self._clear()
        elif byte == _RECORD_SEPARATOR or byte == _CAN or byte <= _CTRL_E:
            self._clear()
            if byte == _RECORD_SEPARATOR:
                self._line.append(byte)
            elif byte == _CTRL_C:
                sys.stdout.write("the gateway runs on; for the prompt ask for: repl\r\n")
        elif len(line) < _LONGEST:
            line.append(byte)
        else:
            self._too_long = True

    def _clear(self):
        self._line = bytearray()
        self._too_long = False

    async def _handle(self, line):
        tool = line[:1] == b"\x1e"
        try:
            await (self._answer_tool(line[1:]) if tool else self._answer_person(line))
        except MemoryError:  # who asks must not bring a gateway down
            lend.drop("service.requests", "service.wording")
            gc.collect()
            self.refused += 1
            sys.stdout.write(_SHORT if tool else "too little memory for that now; try again\r\n")

    async def _ask(self, *words):
        from gateway.service.requests import Requests

        answer = Requests(self._rooms).answer(*words)
        if hasattr(answer, "send"):  # some have to ask a device first
            answer = await answer
        lend.drop("service.requests")  # nobody asks for hours: what answers does not stay in RAM
        return answer

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
        await self._say("\x1e{")
        comma = ""
        for key in sorted(answer):
            await self._say(comma + json.dumps(key) + ": ")
            comma = ", "
            if isinstance(answer[key], (bool, int, str, dict)) or answer[key] is None:
                await self._say(json.dumps(answer[key]))
            else:
                await self._say_rows(answer[key])
        await self._say("}\n")

    async def _say_rows(self, rows):
        """Row by row, as they are made: a long answer as one text would need more in one piece than a heap in use has left."""
        comma = "["
        for row in rows:
            await self._say(comma + json.dumps(row))
            comma = ", "
        await self._say("]" if comma != "[" else "[]")

    async def _say(self, text):
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
        lend.drop("service.wording")
