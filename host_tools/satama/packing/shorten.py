"""Short names for what only the application itself sees, in the copy that goes to the device.

MicroPython keeps every name of a method, an attribute and an argument in RAM for ever, some 20 bytes each: a quarter of what importing
costs. Private names (`_like_this`) and arguments that nobody gives by keyword are therefore written short, the same few again and again;
lines stay where they are, so that a traceback still tells file and line. Names that may be looked up by their text keep it.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import string
from collections.abc import Iterable, Iterator
from functools import lru_cache

Edit = tuple[int, int, str, str]  # line (from 1), byte in it, name, new name
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_PACKAGE = "gateway"


def shorten(sources: dict[str, str]) -> dict[str, str]:
    """The same modules with shorter names. `sources`: path of each ("gateway/core/site.py") -> source text."""
    modules = {path: _read(path, text) for path, text in sorted(sources.items())}
    by_keyword = set().union(*(module.by_keyword for module in modules.values()))
    kept = by_keyword.union(*(module.looked_up for module in modules.values()))
    families = _families(modules)
    for family in families:
        foreign = {name for module in family for name in module.attributes} - {n for m in family for n in m.members}
        kept |= foreign  # somebody else's: of MicroPython, or of another room that lets it be seen
    owners: dict[str, int] = {}
    for family in families:
        for name in {name for module in family for name in module.members}:
            owners[name] = owners.get(name, 0) + 1
    for module in modules.values():
        kept |= {name for name in module.of_others if owners.get(name, 0) > 1}  # whose it is, only running would tell
    for family in families:
        if any(module.has_foreign_base for module in family):
            kept |= {name for module in family for name in module.members}
    result = {}
    for family in families:
        members = _mapping({name for module in family for name in module.members} - kept, kept)
        for module in family:
            own = _mapping(module.globals - kept, kept | module.names)
            edits = [*module.edits(members, own)]
            if not module.has_foreign_base:  # or somebody else may call them by keyword
                edits += _arguments(module.outer_functions, by_keyword)
            result[module.path] = _edited(sources[module.path], edits)
    return result


@lru_cache(maxsize=512)
def _read(path: str, text: str) -> _Module:
    """Most modules stay the same from one application to the next."""
    return _Module(path, text)


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and len(name) > 1


def _is_constant(statement: ast.Assign) -> bool:
    """`_X = const(...)`, which the compiler puts in wherever it stands, and no name is left."""
    value = statement.value
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const"


def _mapping(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    """Each name -> a short private one that is not taken."""
    names = sorted(names)
    fresh = (f"_{''.join(word)}" for size in (1, 2) for word in itertools.product(string.ascii_letters, repeat=size))
    return dict(zip(names, (new for new in fresh if new not in taken), strict=False))


class _Module:
    """What one module says: names of its classes' members, of itself, and what it looks up."""

    def __init__(self, path: str, text: str):
        self.path = path
        self.lines = text.encode().split(b"\n")
        self.tree = ast.parse(text)
        self.nodes = list(ast.walk(self.tree))
        self.attributes: set[str] = set()  # private ones that it reads or writes
        self.members: set[str] = set()  # private ones that its classes have
        self.of_others: set[str] = set()  # private ones of something that is not `self`
        self.globals: set[str] = set()
        self.names: set[str] = set()
        self.looked_up: set[str] = set()
        self.by_keyword: set[str] = set()
        self.bases: list[str] = []  # modules of the application that its classes inherit from
        self.has_foreign_base = False
        self.classes = {node.name for node in self.nodes if isinstance(node, ast.ClassDef)}
        self._imported: dict[str, str] = {}
        for node in self.nodes:
            self._see(node)
        for statement in self.tree.body:
            self._see_global(statement)
        for node in self.nodes:
            if isinstance(node, ast.ClassDef):
                self._see_class(node)
        self.outer_functions = list(_outer_functions(self.nodes))

    def _see(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute) and _private(node.attr):
            self.attributes.add(node.attr)
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                self.of_others.add(node.attr)
            elif isinstance(node.ctx, ast.Store):
                self.members.add(node.attr)
        elif isinstance(node, ast.Name):
            self.names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.looked_up.add(node.value)
        elif isinstance(node, ast.keyword) and node.arg:
            self.by_keyword.add(node.arg)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            module = getattr(node, "module", None)
            for alias in node.names:
                self.looked_up.update({alias.name, alias.asname or alias.name})
                self._imported[alias.asname or alias.name] = module or alias.name

    def _see_global(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [statement.name]
        elif isinstance(statement, ast.Assign) and not _is_constant(statement):
            names = [node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        else:
            names = []
        self.globals.update(filter(_private, names))

    def _see_class(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and _private(statement.name):
                self.members.add(statement.name)
            elif isinstance(statement, ast.Assign):  # a name in the class is a name among the module's functions, too
                self.looked_up.update(target.id for target in statement.targets if isinstance(target, ast.Name))
        for base in node.bases:
            self._see_base(base)

    def _see_base(self, base: ast.expr) -> None:
        of_module = isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name)
        name = base.value.id if of_module else base.id if isinstance(base, ast.Name) else ""
        origin = self._imported.get(name, "")
        if origin.split(".")[0] == _PACKAGE:
            self.bases.append(f"{origin}.{name}" if of_module else origin)
        elif origin or not (name in self.classes or hasattr(builtins, name)):
            self.has_foreign_base = True

    def edits(self, members: dict[str, str], own: dict[str, str]) -> Iterator[Edit]:
        in_class = {s for node in self.nodes if isinstance(node, ast.ClassDef) for s in node.body}
        for node in self.nodes:
            if isinstance(node, ast.Attribute) and node.attr in members:
                length = len(node.attr)
                yield node.end_lineno, node.end_col_offset - length, node.attr, members[node.attr]
            elif isinstance(node, ast.Name) and node.id in own:
                yield node.lineno, node.col_offset, node.id, own[node.id]
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                new = (members if node in in_class else own).get(node.name)
                if new:
                    at = self.lines[node.lineno - 1].index(node.name.encode(), node.col_offset)
                    yield node.lineno, at, node.name, new
            elif isinstance(node, ast.Global):
                for name in node.names:
                    if name in own:
                        line = self.lines[node.lineno - 1]
                        yield node.lineno, line.index(name.encode(), node.col_offset), name, own[name]


def _families(modules: dict[str, _Module]) -> list[list[_Module]]:
    """Modules whose classes inherit from one another share the names of their members."""
    family = {path: path for path in modules}

    def head(path: str) -> str:
        while family[path] != path:
            path = family[path]
        return path

    for module in modules.values():
        for base in module.bases:
            plain = base.replace(".", "/")
            for path in (f"{plain}.py", f"{plain}/__init__.py"):
                if path in modules:
                    family[head(module.path)] = head(path)
    members: dict[str, list[_Module]] = {}
    for path, module in modules.items():
        members.setdefault(head(path), []).append(module)
    return list(members.values())


def _outer_functions(nodes: list[ast.AST]) -> Iterator[tuple[_Function, list[ast.AST]]]:
    """(function, all that is in it), of those that stand in no other. `nodes`: from the outside in."""
    nested: set[ast.AST] = set()
    for node in nodes:
        if isinstance(node, _Function) and node not in nested:
            inner = list(ast.walk(node))[1:]
            nested.update(inner)
            yield node, inner


def _arguments(functions: list[tuple[_Function, list[ast.AST]]], by_keyword: set[str]) -> Iterator[Edit]:
    """Arguments of outer functions become a, b, c ...: those that nobody gives by keyword, and that nothing inside of the function has a
    name like."""
    for node, inner in functions:
        bound = _bound_inside(inner)
        inside = {name.id for name in inner if isinstance(name, ast.Name)} | bound
        mine = [argument for argument in node.args.args if argument.arg not in ("self", "cls")]
        taken = inside | {argument.arg for argument in node.args.args} | by_keyword
        fresh = (letter for letter in string.ascii_lowercase if letter not in taken)
        new = {a.arg: f for a, f in zip(mine, fresh, strict=False)}
        new = {old: n for old, n in new.items() if len(old) > 1 and old not in by_keyword and old not in bound}
        if not new:
            continue
        for argument in mine:
            if argument.arg in new:
                yield argument.lineno, argument.col_offset, argument.arg, new[argument.arg]
        for name in _own_names(node):
            if name.id in new:
                yield name.lineno, name.col_offset, name.id, new[name.id]


def _own_names(function: _Function) -> Iterator[ast.Name]:
    """The names in its body; not those of its defaults and decorators, which are the surrounding scope's."""
    body = function.body if isinstance(function.body, list) else [function.body]
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                yield node


def _bound_inside(inner: list[ast.AST]) -> set[str]:
    """What gets a meaning of its own in nested scopes, or in other ways than as a plain name."""
    bound: set[str] = set()
    for node in inner:
        if isinstance(node, _Function):
            bound.update(a.arg for a in [*node.args.args, *node.args.kwonlyargs])
            bound.update(n.id for n in _own_names(node) if isinstance(n.ctx, ast.Store))
        elif isinstance(node, ast.comprehension):
            bound.update(n.id for n in ast.walk(node.target) if isinstance(n, ast.Name))
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            bound.update(node.names)
        elif isinstance(node, ast.alias):
            bound.update({node.name, node.asname or node.name})
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
    return bound


def _edited(text: str, edits: Iterable[Edit]) -> str:
    lines = [line.encode() for line in text.split("\n")]
    for line, at, old, new in sorted(set(edits), reverse=True):
        found = lines[line - 1]
        if found[at : at + len(old)] != old.encode():
            raise ValueError(f"line {line}: {old} is not where it should be")
        lines[line - 1] = found[:at] + new.encode() + found[at + len(old) :]
    return "\n".join(line.decode() for line in lines)
