"""Constants written out: the same values, the same lines, and nobody is left to miss a name."""

import ast

from satama.core.places import FIRMWARE
from satama.packing.constants import write_out

A = """from micropython import const
ONE = const(1)
BELOW = const(-ONE)
TOLD = const(4)
LARGE = const(1 << 40)
_OWN = const(ONE << 3)
WORD = "one"
def f():
    return ONE + _OWN
"""
B = """from gateway.a import (
    BELOW,
    LARGE,
    ONE as FIRST,
    f,
)
from gateway import a
def g(x):
    return x.TOLD, getattr(a, "ONE"), a.TOLD, FIRST - BELOW, LARGE, f
"""


def test_uses_become_values_and_names_go_where_nobody_says_them():
    out = write_out({"gateway/__init__.py": "", "gateway/a.py": A, "gateway/b.py": B})
    assert out["gateway/b.py"].split("\n")[0] == "from gateway.a import LARGE, f"
    assert "from gateway import a" in out["gateway/b.py"]  # for more than its constants
    assert 'return x.TOLD, getattr(a, "ONE"), 4, 1 - (-1), LARGE, f' in out["gateway/b.py"]
    names = [line.split(" =")[0] for line in out["gateway/a.py"].split("\n") if " = " in line]
    # what is looked up by its text or said of a thing unknown stays, and so does what is too large for a word
    assert names == ["ONE", "_BELOW", "TOLD", "LARGE", "_OWN", "WORD"]


def test_a_module_that_is_wanted_for_its_constants_only_is_not_imported():
    source = "from gateway import a\nfrom gateway import a as again\nx = a.TOLD, again.f\n"
    out = write_out({"gateway/__init__.py": "", "gateway/a.py": A, "gateway/b.py": source})
    assert out["gateway/b.py"] == "pass\nfrom gateway import a as again\nx = 4, again.f\n"


def test_a_name_with_another_meaning_in_the_module_is_left_alone():
    source = "from gateway.a import ONE\ndef g(ONE):\n    return ONE\n"
    assert write_out({"gateway/a.py": A, "gateway/b.py": source})["gateway/b.py"] == source


def test_the_firmware_keeps_its_lines_and_lacks_no_name():
    sources = {p.relative_to(FIRMWARE).as_posix(): p.read_text() for p in (FIRMWARE / "gateway").rglob("*.py")}
    out = write_out(sources)
    exported = {path: _globals(text) for path, text in out.items()}
    for path, text in out.items():
        assert text.count("\n") == sources[path].count("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("gateway"):
                plain = node.module.replace(".", "/")
                there = exported.get(f"{plain}.py", exported.get(f"{plain}/__init__.py"))
                for alias in node.names:
                    is_module = {f"{plain}/{alias.name}.py", f"{plain}/{alias.name}/__init__.py"} & set(out)
                    assert is_module or alias.name in there, (path, node.module, alias.name)


def _globals(text):
    tree = ast.parse(text)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {getattr(node, "name", "") for node in tree.body}
    return names | {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
