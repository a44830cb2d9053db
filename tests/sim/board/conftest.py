from collections.abc import Callable, Iterator

import pytest
from lab import Lab


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
