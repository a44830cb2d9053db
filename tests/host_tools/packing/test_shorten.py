"""The names in the device's copy of the application: shorter, and the same application."""

import ast

import pytest

from satama.core.places import FIRMWARE
from satama.packing.shorten import shorten

SOURCES = {
    path.relative_to(FIRMWARE).as_posix(): path.read_text() for path in sorted((FIRMWARE / "gateway").rglob("*.py"))
}


def run(source: str, path: str = "gateway/x.py", **others: str) -> tuple[dict, str]:
    short = shorten({path: source} | {f"gateway/{name}.py": text for name, text in others.items()})[path]
    space: dict = {}
    exec(compile(short, path, "exec"), space)
    return space, short


def test_private_members_and_globals_get_short_names_and_work():
    space, short = run(
        "_LONG_TABLE = (1, 2, 3)\n"
        "def _helper(number):\n    return number + _LONG_TABLE[0]\n"
        "class Thing:\n"
        "    def __init__(self, start):\n        self._start_value = start\n"
        "    def public(self):\n        return self._private_sum() + _helper(self._start_value)\n"
        "    def _private_sum(self):\n        return sum(_LONG_TABLE)\n"
    )
    assert space["Thing"](10).public() == 17
    for name in ("_LONG_TABLE", "_helper", "_start_value", "_private_sum", "number"):
        assert name not in short


def test_a_name_that_is_looked_up_by_its_text_stays():
    space, short = run("class Thing:\n    def _secret(self):\n        return 5\ngot = getattr(Thing(), '_secret')()\n")
    assert space["got"] == 5 and "_secret(self)" in short


def test_an_argument_that_is_given_by_keyword_stays_wherever_it_is():
    space, short = run("def f(first, second):\n    return first - second\ngot = f(second=1, first=3)\n")
    assert space["got"] == 2 and "f(first, second)" in short


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("def f(item, items):\n    return [item for item in items] + [item]\ngot = f(0, [1, 2])", [1, 2, 0]),
        ("def f(number):\n    def g(number):\n        return number * 2\n    return g(number + 1)\ngot = f(3)", 8),
        ("def f(number):\n    return lambda other: number + other\ngot = f(3)(4)", 7),
        ("a = 5\ndef f(number):\n    return number + a\ngot = f(1)", 6),
        ("size = 2\ndef f(size=size):\n    return size\ngot = f()", 2),
        ("_count_of_all = 0\ndef f(step):\n    global _count_of_all\n    _count_of_all += step\nf(2)\nf(3)\ngot = _count_of_all", 5),
        ("def f(error):\n    try:\n        raise ValueError(error)\n    except ValueError as error:\n        return error.args[0]\ngot = f(9)", 9),
        ("def f(number):\n    a = number\n    return a + number\ngot = f(4)", 8),
    ],
)  # fmt: skip
def test_scopes_are_kept_apart(source, value):
    assert run(source)[0]["got"] == value


def test_classes_that_inherit_from_one_another_share_the_names_of_their_members():
    base = "class Base:\n    def __init__(self):\n        self._shared_thing = 1\n        self._another = 2\n"
    child = "from gateway.base import Base\nclass Child(Base):\n    def get(self):\n        self._zone = 0\n        return self._shared_thing\n"
    short = shorten({"gateway/base.py": base, "gateway/child.py": child})
    name = next(
        n.attr for n in ast.walk(ast.parse(short["gateway/child.py"])) if isinstance(n, ast.Attribute) and n.attr != "_zone"
        and isinstance(n.ctx, ast.Load)
    )  # fmt: skip
    assert f"self.{name} = 1" in short["gateway/base.py"] and len(name) == 2


def test_what_inherits_from_somebody_elses_class_keeps_its_names():
    short = run("from collections import OrderedDict\nclass Mine(OrderedDict):\n    def _override(self, key): pass\n")[
        1
    ]
    assert "_override(self, key)" in short


def test_another_objects_private_name_that_two_have_stays():
    one = "class One:\n    def __init__(self):\n        self._place = 1\n"
    two = "class Two:\n    def __init__(self):\n        self._place = 2\n    def of(self, other):\n        return other._place\n"
    short = shorten({"gateway/one.py": one, "gateway/two.py": two})
    assert all("_place" in text for text in short.values())


def test_the_whole_application_keeps_its_lines_and_loses_names():
    short = shorten(SOURCES)
    assert short == shorten(dict(reversed(SOURCES.items())))
    names = {True: set(), False: set()}
    for path, text in SOURCES.items():
        assert len(short[path].split("\n")) == len(text.split("\n"))
        for is_short, source in ((False, text), (True, short[path])):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Attribute | ast.arg):
                    names[is_short].add(node.attr if isinstance(node, ast.Attribute) else node.arg)
    assert len(names[True]) < 0.7 * len(names[False])
