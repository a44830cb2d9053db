"""pytest plugin: the fixture `cabinet` starts cabinets for a test and ends them with it.

    def test_my_site(cabinet):
        cab = cabinet("my-site.toml", seed=3)
        cab.run("10m")
        assert cab.broker.stream("main-meter/voltage_l1").last.value > 200

Where no MicroPython VM is to be had the test is skipped with the reason; under CI=true it fails.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("satama").addoption(
        "--vm", default=None, help="a MicroPython unix executable to run the firmware on"
    )


def pytest_configure() -> None:
    """The processes of pytest-xdist take the cores in turn, or two of them might share one while another rests."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker.removeprefix("gw").isdigit():
        os.environ.setdefault("SATAMA_SIM_SEAT", worker.removeprefix("gw"))


def missing(reason: str) -> None:
    """A real component is not here: a visible skip for a user, a failure in CI."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def cabinet(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """A function that starts a cabinet: cabinet(site, **options of satama_sim.Cabinet)."""
    from . import Cabinet, VmMissing
    from .vm.umqtt import UmqttMissing

    started = []

    def start(site: Any, **options: Any) -> Cabinet:
        options.setdefault("vm", request.config.getoption("--vm"))
        try:
            one = Cabinet(site, **options)
        except (VmMissing, UmqttMissing) as error:
            missing(str(error))
            raise
        started.append(one)
        return one

    with contextlib.ExitStack() as stack:  # one that cannot be closed keeps no other one
        yield start
        for one in started:
            stack.callback(one.close)
    for monitor in (monitor for one in started for monitor in one.wiring.monitors):
        monitor.check()  # whatever a test is about: one master at a time, silence between frames
