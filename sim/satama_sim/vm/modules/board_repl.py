"""The prompt of stock firmware: the friendly and the raw REPL of MicroPython's shared/runtime/pyexec.c, over the board's console.

Written in Python because the unix VM's own waits for its keys in C, where no host can be asked: the board's time would stand still, and
no watchdog could bite. The host sends this text when it is wanted, so it takes no room in the heap of a gateway that runs;
board_boot puts execute() and report() into its names.
"""

import os
import sys

import link

_CTRL_A, _CTRL_B, _CTRL_C, _CTRL_D, _CTRL_E = 1, 2, 3, 4, 5
_CONSOLE_READ = 7
_WINDOW = 128  # half of the port's buffer for stdin
_COMPOUND = ("@", "if ", "for ", "while ", "with ", "def ", "class ", "try:", "async ")


def run(raw):
    """Until somebody wants a soft reset. `raw`: the mode before the last one, which outlives it."""
    try:
        _Repl(raw).run()
    except MemoryError as error:  # what was typed fills the heap: it begins anew
        report(error)


class _Repl:
    def __init__(self, raw):
        self._raw = raw
        self._keys = b""  # typed and not yet looked at; ends where a command may end
        self._at = 0

    def run(self):
        while self._raw_repl() if self._raw else self._friendly_repl():
            pass
        _say("MPY: soft reboot\r\n")

    def _key(self):
        while self._at == len(self._keys):
            link.call(_CONSOLE_READ, self._raw)
            self._keys, self._at = link.data(), 0
        self._at += 1
        return self._keys[self._at - 1]

    # Both loops: True when the mode has changed, False for a soft reset.

    def _friendly_repl(self):
        self._banner()
        while True:
            line, key = self._line(">>> ")
            kind = "single"
            if key == _CTRL_A:
                self._raw = True
                return True
            if key == _CTRL_B:
                self._banner()
            elif key == _CTRL_D:
                return False
            elif key == _CTRL_E:
                line, kind = self._pasted(), "exec"
            while line and kind == "single" and _unfinished(line):
                more, key = self._line("... ")
                if key == _CTRL_C:
                    line = ""
                    break
                line += "\n" + more
                if key == _CTRL_D:
                    break
            if line:
                error = execute(line, "<stdin>", kind)
                if isinstance(error, SystemExit):
                    return False
                if error:
                    report(error)

    def _banner(self):
        _say("{}; {}\r\n".format(sys.version.split("; ")[-1], os.uname().machine))
        _say('Type "help()" for more information.\r\n')

    def _line(self, prompt):
        """(text, the key that ended it). Only the last character can be taken back."""
        _say(prompt)
        line = bytearray()
        while True:
            key = self._key()
            if key in (13, 10):
                _say("\r\n")
                return _text(line), key
            if key == _CTRL_C or not line and key in (_CTRL_A, _CTRL_B, _CTRL_D, _CTRL_E):
                _say("\r\n")
                return "", key
            if key in (8, 127):
                if line:
                    line = line[:-1]
                    _say("\b \b")
            elif key == 27:  # an arrow: ESC [ A
                self._key()
                self._key()
            elif key >= 32 or key == 9:
                line.append(key)
                _say(bytes((key,)))

    def _pasted(self):
        _say("paste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
        text = bytearray()
        while True:
            key = self._key()
            if key in (_CTRL_C, _CTRL_D):
                _say("\r\n")
                return bytes(text) if key == _CTRL_D else b""
            text.append(10 if key == 13 else key)
            _say("\r\n=== " if key == 13 else bytes((key,)))

    def _raw_repl(self):
        _say("raw REPL; CTRL-B to exit\r\n>")
        source = bytearray()
        while True:
            key = self._key()
            if key == _CTRL_A:
                if source[:1] == b"\x05" and len(source) == 2:
                    if not self._raw_paste(source[1]):
                        return False
                else:
                    _say("raw REPL; CTRL-B to exit\r\n>")
                source = bytearray()
            elif key == _CTRL_B:
                _say("\r\n")
                self._raw = False
                return True
            elif key == _CTRL_C:
                source = bytearray()
            elif key == _CTRL_D:
                _say("OK")
                if not source:
                    _say("\r\n")
                    return False
                if not self._answered(source):
                    return False
                source = bytearray()
            else:
                source.append(key)

    def _answered(self, source):
        """Output, Ctrl-D, what went wrong, Ctrl-D, prompt. False when it wants a soft reset."""
        error = source if isinstance(source, KeyboardInterrupt) else execute(bytes(source), "<stdin>", "exec")
        _say("\x04")
        if isinstance(error, SystemExit):
            return False
        if error:
            report(error)
        _say("\x04>")
        return True

    def _raw_paste(self, letter):
        """Source with flow control, as docs/reference/repl.rst describes it."""
        if letter != 65:
            _say(b"R\x00>")
            return True
        _say(bytes((82, 1, _WINDOW, 0, 1)))
        source = bytearray()
        while True:
            key = self._key()
            if key in (_CTRL_C, _CTRL_D):
                _say("\x04")
                return self._answered(source if key == _CTRL_D else KeyboardInterrupt())
            source.append(key)
            if len(source) % _WINDOW == 0:
                _say("\x01")


def _text(line):
    """What is no UTF-8 becomes what no program can hold: a SyntaxError."""
    try:
        return line.decode()
    except UnicodeError:
        return "".join([chr(byte) if byte < 128 else "?" for byte in line])


def _unfinished(text):
    """Whether MicroPython would ask for another line (py/repl.c), but for brackets inside of texts."""
    last = text.split("\n")[-1]
    if any(text.startswith(word) for word in _COMPOUND):  # a tuple it takes from 1.25 on only
        return bool(last.strip())
    depth = 0
    for opening, closing in ("()", "[]", "{}"):
        depth += text.count(opening) - text.count(closing)
    return depth > 0 or last.endswith("\\") or text.count('"""') % 2 == 1 or text.count("'''") % 2 == 1


def _say(text):
    sys.stdout.buffer.write(text)
