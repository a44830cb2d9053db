"""The rooms of the host tools: one direction of import, from the commands down to the core, and nothing lies outside a room."""

import ast
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2] / "host_tools" / "satama"
ORDER = (  # a room imports those before it
    "core",
    "boards",
    "profiles",
    "trust",
    "site_file",
    "broker",
    "planning",
    "resolving",
    "compiling",
    "packing",
    "payloads",
    "collecting",
    "explaining",
    "serial_line",
    "commissioning",
    "flashing",
    "deploying",
    "provisioning",
    "commands",
)


def imported(tree, package):
    """The rooms that a module of `package` (its folders below satama) imports, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["satama", *package][: len(package) + 2 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            targets = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for parts in (target.split(".") for target in targets):
            if parts[0] == "satama" and parts[1:2] and parts[1] not in ("__version__", "RELEASED"):
                yield node.lineno, parts[1]


def backwards(path, source):
    """What a module imports of rooms that stand above its own."""
    room = path.split("/")[0]
    for line, other in imported(ast.parse(source), path.split("/")[:-1]):
        if other not in ORDER or ORDER.index(other) > ORDER.index(room):
            yield f"{path}:{line}: {room} imports {other}"


def test_every_module_is_in_a_room():
    assert {path.name for path in HOME.glob("*.py")} == {"__init__.py", "__main__.py", "cli.py"}
    assert {path.parent.name for path in HOME.glob("*/__init__.py")} == set(ORDER)


def test_rooms_import_only_what_stands_before_them():
    files = sorted(path.relative_to(HOME).as_posix() for path in HOME.glob("*/**/*.py"))
    assert len(files) > 100
    assert [fault for path in files for fault in backwards(path, (HOME / path).read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("from ..compiling.compiler import compile_site", "boards imports compiling"),
        ("from .. import commands", "boards imports commands"),
        ("from satama.commands.site import check", "boards imports commands"),
        ("import satama.cli", "boards imports cli"),
        ("from ..core.problems import Problem", None),
        ("from . import chips", None),
        ("from .. import __version__", None),
    ],
)
def test_an_import_that_goes_up_is_seen(line, wrong):
    found = list(backwards("boards/board.py", f"def late():\n    {line}\n"))
    assert found == ([f"boards/board.py:2: {wrong}"] if wrong else [])
