from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Lab

HERE = Path(__file__).parent


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Callable[..., Lab]]:
    """A function that boots a board: lab(main_py, **options of Lab). `--vm` chooses another MicroPython."""
    built: list[Lab] = []

    def build(main: str, *args: object, **options: object) -> Lab:
        options.setdefault("vm", request.config.getoption("--vm"))
        built.append(Lab(main, *args, **options))
        return built[-1]

    yield build
    for one in built:
        one.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.timeout(60))  # a VM and a host that wait for each other
