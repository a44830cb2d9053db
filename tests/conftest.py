"""Shared fixtures: the firmware's pure modules as `gateway`, the sites, and the broker of another hand."""

import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from satama.core import firmware  # noqa: F401  makes `gateway` importable
from satama_sim.broker.mosquitto import Mosquitto, MosquittoMissing
from satama_sim.pytest_plugin import missing

settings.register_profile("satama", deadline=None)  # no test fails because the machine is busy
settings.load_profile("satama")

SITES = Path(__file__).parents[1] / "sim" / "sites"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: one process waits for the wall clock while the others compute, and at the end none waits for a long one.

    xdist hands each process an equal share of the list, in its order; who has done its share takes over the end of another's.
    """
    shares = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if shares == 1:
        return
    waiting = [item for item in items if item.get_closest_marker("real_time")]
    long = [item for item in items if item.get_closest_marker("long") and item not in waiting]
    first = {id(item) for item in (*waiting, *long)}
    rest = iter([item for item in items if id(item) not in first])
    heads = [waiting, *([] for _ in range(shares - 1))]
    for at, item in enumerate(long):
        heads[-1 - at % (shares - 1)].append(item)
    total, dealt = len(items), []
    for share, head in enumerate(heads):
        end = total * (share + 1) // shares
        dealt += head
        dealt += itertools.islice(rest, max(0, end - len(dealt)))
    items[:] = [*dealt, *rest]


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again and again (a fifth of the pure tests' time)."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def demo_site() -> Path:
    return SITES / "demo.toml"


@pytest.fixture
def mosquitto() -> Iterator[Mosquitto]:
    """A real mosquitto on a free loopback port, with the persistence that the README asks of operators."""
    broker = Mosquitto()
    try:
        broker.start()
    except MosquittoMissing as error:
        missing(str(error))
    yield broker
    broker.stop()
