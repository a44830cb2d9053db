"""`--bus`: the firmware in the VM polls slaves of another hand over a serial port; and other programs join the simulated bus by its pty."""

import asyncio
import os
import pty
import select
import threading
import tty
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

COUNTERS = Path(__file__).parents[1] / "gateway" / "big-counters-site.toml"
ENERGY = (1 << 40) + 12345
REGISTERS = [(ENERGY >> shift) & 0xFFFF for shift in (48, 32, 16, 0)] + [0] * 16


class JoinedPtys:
    """Two serial ports with a wire between them."""

    def __init__(self):
        self._pairs = [pty.openpty() for _ in range(2)]
        for _, slave in self._pairs:
            tty.setraw(slave)
        self.paths = [os.ttyname(slave) for _, slave in self._pairs]
        self._end_r, self._end_w = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self):
        (a, _), (b, _) = self._pairs
        while True:
            ready, _, _ = select.select([a, b, self._end_r], [], [])
            if self._end_r in ready:
                return
            for source in ready:
                os.write(b if source == a else a, os.read(source, 4096))

    def close(self):
        os.write(self._end_w, b"x")
        self._thread.join()
        for descriptor in (*self._pairs[0], *self._pairs[1], self._end_r, self._end_w):
            os.close(descriptor)


class PymodbusSlave:
    """pymodbus' own RTU server on a port, in a thread with a loop of its own."""

    def __init__(self, path: str):
        self._path = path
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._started.wait(20)

    async def _serve(self):
        self._end = asyncio.Event()
        device = SimDevice(1, simdata=[SimData(0, values=REGISTERS, datatype=DataType.REGISTERS)])
        server = ModbusSerialServer(device, port=self._path, baudrate=9600)
        await server.serve_forever(background=True)
        self._started.set()
        await self._end.wait()
        await server.shutdown()

    def close(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def wire():
    joined = JoinedPtys()
    yield joined.paths
    joined.close()


def test_the_firmware_polls_a_foreign_slave_over_a_serial_port(cabinet, wire):
    slave = PymodbusSlave(wire[1])
    try:
        cab = cabinet(COUNTERS, clock="real", serial_buses={"rs485": wire[0]})
        cab.run_until(lambda: cab.broker.streams and any(v.count for v in cab.broker.streams.values()), within="40s")
        cab.run(1)
        assert cab.broker.stream("meter/energy").last.value == ENERGY
        assert cab.broker.stream("meter/energy").last.reason == ""
        assert cab.request("status")["buses"][0]["errors"] == 0
    finally:
        slave.close()


def test_another_master_joins_the_simulated_bus_by_its_pty(cabinet):
    cab = cabinet(COUNTERS, clock="real")
    path = cab.offer_ptys()["bus rs485"]
    cab.run(1.5)
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
