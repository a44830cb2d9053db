"""Constants written out where they are used, in the copy of the application that goes to the device.

A constant that one module imports from another is a name to MicroPython: in its table of names for ever, and an entry in the globals of
each module that speaks of it, 60 bytes and more altogether. Small whole numbers are therefore put in by value, imports of nothing else are
left out, and where nobody is left to import it the constant becomes a private one, of which the compiler leaves no trace. Lines stay
where they are. Names that may be looked up by their text keep it.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterator
from functools import lru_cache

_PACKAGE = "gateway"
_SMALL = range(-(1 << 30), 1 << 30)  # fits a word of the chip: anything larger is an object, better held once
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}
_Imported = dict[str, tuple[str, str]]  # name in this module -> (module, name there; "" for the module itself)


def write_out(sources: dict[str, str]) -> dict[str, str]:
    """The same modules with small constants in the place of their names. `sources`: path ("gateway/core/site.py") -> source text."""
    modules = {_dotted(path): _read(text) for path, text in sources.items()}
    for module in modules.values():
        module.imported = dict(module.imports(modules))
    texts = set().union(*(module.texts for module in modules.values()))
    wanted = {name for module in modules.values() for name in module.wanted(modules)}
    result = {}
    for path, text in sources.items():
        module = modules[_dotted(path)]
        renamed = {
            name: f"_{name}"
            for name in module.constants
            if name not in texts and name not in wanted and f"_{name}" not in module.names
        }
        result[path] = module.written(text, modules, renamed)
    return result


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Module:
    """What one module says; `imported` is said anew for each set of modules that it is among."""

    def __init__(self, text: str):
        self.tree = ast.parse(text)
        self.nodes = list(ast.walk(self.tree))
        self.names: set[str] = set()
        self.texts: set[str] = set()
        self.constants: dict[str, int] = {}  # public ones, small whole numbers
        self.imported: _Imported = {}
        known: dict[str, int] = {}
        stored: list[str] = []
        for node in self.nodes:
            if isinstance(node, ast.Name):
                self.names.add(node.id)
                if not isinstance(node.ctx, ast.Load):
                    stored.append(node.id)
            elif isinstance(node, ast.arg):
                stored.append(node.arg)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.texts.add(node.value)
        for statement in self.tree.body:
            value = _value(statement, known)
            if value is not None:
                known[statement.targets[0].id] = value
        self.stored = set(stored)
        for name, value in known.items():
            if not name.startswith("_") and value in _SMALL and stored.count(name) == 1:
                self.constants[name] = value

    def imports(self, modules: dict[str, _Module]) -> Iterator[tuple[str, tuple[str, str]]]:
        """What it imports from the application, under a name that means nothing else here."""
        found: dict[str, set[tuple[str, str]]] = {}
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == _PACKAGE:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    what = (whole, "") if whole in modules else (node.module, alias.name)
                    found.setdefault(alias.asname or alias.name, set()).add(what)
        for name, meanings in found.items():
            if len(meanings) == 1 and name not in self.stored:
                yield name, meanings.pop()

    def value(self, name: str, modules: dict[str, _Module]) -> int | None:
        """Of a constant that one can import from here."""
        if name in self.constants:
            return self.constants[name]
        module, there = self.imported.get(name, ("", ""))
        return modules[module].value(there, modules) if there and module in modules else None

    def _of_module(self, node: ast.AST, modules: dict[str, _Module]) -> int | None:
        """The value of `module.NAME`."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, there = self.imported.get(node.value.id, ("", "?"))
            if not there:
                return modules[module].value(node.attr, modules)
        return None

    def wanted(self, modules: dict[str, _Module]) -> Iterator[str]:
        """Names that stay, for it says them in a way that cannot be replaced."""
        for node in self.nodes:
            if isinstance(node, ast.Attribute) and self._of_module(node, modules) is None:
                yield node.attr
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) not in self.imported:
                        yield alias.name

    def written(self, text: str, modules: dict[str, _Module], renamed: dict[str, str]) -> str:
        lines = [line.encode() for line in text.split("\n")]
        values = {name: self.value(name, modules) for name in self.imported}
        said: dict[str, int] = {}  # how often a module's name is said, but for the constants in it
        edits = []  # (line, from byte, to byte, text)
        for node in self.nodes:
            new = None
            if isinstance(node, ast.Name):
                new = renamed.get(node.id) or _literal(values.get(node.id))
                said[node.id] = said.get(node.id, 0) + 1
            elif isinstance(node, ast.Attribute):
                new = _literal(self._of_module(node, modules))
                if new is not None:
                    said[node.value.id] = said.get(node.value.id, 0) - 1
            if new is not None:
                edits.append((node.end_lineno, node.col_offset, node.end_col_offset, new))
        for line, start, end, new in sorted(set(edits), reverse=True):
            found = lines[line - 1]
            lines[line - 1] = found[:start] + new.encode() + found[end:]
        useless = {name for name in values if values[name] is not None or said.get(name) == 0}
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) in useless for a in node.names):
                rest = [ast.unparse(alias) for alias in node.names if (alias.asname or alias.name) not in useless]
                line = " " * node.col_offset + (f"from {node.module} import {', '.join(rest)}" if rest else "pass")
                count = node.end_lineno - node.lineno + 1
                lines[node.lineno - 1 : node.end_lineno] = [line.encode(), *[b""] * (count - 1)]
        return "\n".join(line.decode() for line in lines)


@lru_cache(maxsize=512)
def _read(text: str) -> _Module:
    """Most modules stay the same from one application to the next."""
    return _Module(text)


def _literal(value: int | None) -> str | None:
    return None if value is None else f"({value})" if value < 0 else str(value)


def _value(statement: ast.stmt, known: dict[str, int]) -> int | None:
    """Of `NAME = const(...)`."""
    if not (isinstance(statement, ast.Assign) and len(statement.targets) == 1):
        return None
    target, call = statement.targets[0], statement.value
    if not (isinstance(target, ast.Name) and isinstance(call, ast.Call) and ast.unparse(call.func) == "const"):
        return None
    return _number(call.args[0], known)


def _number(node: ast.expr, known: dict[str, int]) -> int | None:
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand, known)
        return None if number is None else -number
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        sides = _number(node.left, known), _number(node.right, known)
        return None if None in sides else _OPERATORS[type(node.op)](*sides)
    return None
