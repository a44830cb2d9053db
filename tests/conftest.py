"""Shared fixtures: the firmware's pure modules as `gateway`, the sites, and the broker of another hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from satama import firmware  # noqa: F401  makes `gateway` importable
from satama_sim.broker.mosquitto import Mosquitto, MosquittoMissing
from satama_sim.pytest_plugin import missing

SITES = Path(__file__).parents[1] / "sim" / "sites"


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
