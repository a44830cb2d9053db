"""The simulated network: what its servers make of nonsense, and the handles of sockets."""

import pytest

from satama_sim.board.sockets import MAX_SOCKETS, Sockets
from satama_sim.network.net import NameServer, Network
from satama_sim.timeline import Timeline


@pytest.mark.parametrize("query", [b"", bytes(5), b"\0" * 12 + b"\x05quay", b"\0" * 12 + b"\x02\xff\xff\0"])
def test_what_is_no_query_gets_no_answer(query):
    assert NameServer(Network(Timeline()))(query) == []


def test_a_socket_that_stays_open_keeps_its_handle_however_many_come_after_it():
    timeline = Timeline()
    sockets = Sockets(timeline, Network(timeline))
    stays = sockets.create(True)
    kept = sockets.open[stays]
    for _ in range(70_000):
        handle = sockets.create(False)
        assert handle != stays
        sockets.close(handle)
    assert sockets.open == {stays: kept}
    assert len({sockets.create(False) for _ in range(MAX_SOCKETS - 1)}) == MAX_SOCKETS - 1
