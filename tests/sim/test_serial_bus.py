"""Other programs join the simulated bus by its pty. (Real buses in its place: tests/gateway/test_independent_slaves.py.)"""

import threading
from pathlib import Path

from pymodbus.client import ModbusSerialClient

COUNTERS = Path(__file__).parents[1] / "gateway" / "big-counters-site.toml"


def test_another_master_joins_the_simulated_bus_by_its_pty(cabinet):
    cab = cabinet(COUNTERS, clock="real")
    path = cab.offer_ptys()["bus rs485"]
    cab.run(3.5)  # the gateway has begun, and rests until its next round
    ending = threading.Event()
    live = threading.Thread(target=lambda: [cab.run(0.1) for _ in iter(ending.is_set, True)], daemon=True)
    live.start()
    try:
        client = ModbusSerialClient(port=path, baudrate=9600, timeout=2, retries=6)
        assert client.connect()
        answer = client.read_holding_registers(
            0, count=4, device_id=1
        )  # of another shape than the gateway's own request
        client.close()
    finally:
        ending.set()
        live.join()
    assert not answer.isError()
    energy = client.convert_from_registers(answer.registers, client.DATATYPE.UINT64)
    assert 0 < energy <= cab.world.truth("meter", "energy") + 1  # the register is rounded
