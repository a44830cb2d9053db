"""The firmware on the real VM talks to Modbus slaves of three other hands: pymodbus, libmodbus (C), pyModbusTCP."""

import asyncio
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pyModbusTCP.server import DataBank, ModbusServer
from written_sites import HEAD, device, rtu_site

from satama_sim.ports import JoinedPtys
from satama_sim.pytest_plugin import missing

HERE = Path(__file__).parent
UNIT, BAUD = 7, 19200

# What independent.toml says, made by struct.
HOLDING = struct.unpack(
    ">16H",
    struct.pack(">Hh", 2305, -105)
    + struct.pack(">HH", 1_234_567 & 0xFFFF, 1_234_567 >> 16)
    + struct.pack(">Q", (1 << 40) + 12_345)
    + struct.pack(">f", 49.98)
    + bytes.fromhex("12345678")
    + struct.pack(">H", 0b1111_1111_1101_1111)
    + b"C2\0\0"
    + struct.pack("<H", 1500),
)
INPUT = struct.unpack(">5H", struct.pack(">d", -12.3456) + b"\x7f\xff")
COILS, DISCRETE = [1, 0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0]
EXPECTED = {
    "voltage": Decimal("230.5"),
    "temperature": Decimal("-10.5"),
    "energy": Decimal("12345.67"),
    "heat": Decimal((1 << 40) + 12_345),
    "frequency": Decimal("49.98"),
    "volume": Decimal(12_345_678),
    "mode": Decimal(0b101),
    "charging": Decimal(5),
    "level": Decimal(1500),
    "power": Decimal("-12.346"),
    "broken": None,
    "relay_1": Decimal(1),
    "relay_3": Decimal(1),
    "door": Decimal(1),
}


@contextmanager
def pymodbus_slave(port: str):
    """pymodbus' own serial server, in a thread with a loop of its own."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve():
        blocks = ([int(bit) for bit in COILS], [int(bit) for bit in DISCRETE], list(HOLDING), list(INPUT))
        kinds = (DataType.BITS, DataType.BITS, DataType.REGISTERS, DataType.REGISTERS)
        tables = tuple(
            [SimData(0, values=[bool(v) for v in block] if kind is DataType.BITS else block, datatype=kind)]
            for block, kind in zip(blocks, kinds, strict=True)
        )
        server = ModbusSerialServer(SimDevice(UNIT, simdata=tables), port=port, baudrate=BAUD)
        await server.serve_forever(background=True)
        started.set()
        await ended.wait()
        await server.shutdown()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@contextmanager
def libmodbus_slave(port: str):
    command = [sys.executable, str(HERE / "libmodbus_slave.py"), port, str(UNIT), str(BAUD)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    tables = {"coils": COILS, "discrete_inputs": DISCRETE, "input_registers": INPUT, "holding_registers": HOLDING}
    with process:
        process.stdin.write(json.dumps(tables))
        process.stdin.close()
        if process.stdout.readline() != "ready\n":
            process.kill()
            if process.wait() == 3:
                missing("libmodbus is not installed -> apt install libmodbus5")
            pytest.fail("the libmodbus slave did not start")
        try:
            yield
        finally:
            process.kill()


@contextmanager
def pymodbustcp_server():
    """host:port of a pyModbusTCP server on a free port."""
    bank = DataBank()
    bank.set_coils(0, COILS)
    bank.set_discrete_inputs(0, DISCRETE)
    bank.set_holding_registers(0, HOLDING)
    bank.set_input_registers(0, INPUT)
    server = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=bank)
    server.start()
    try:
        yield f"127.0.0.1:{server._service.server_address[1]}"
    finally:
        server.stop()


TCP_BUS = """
[[bus]]
id = "lan"
kind = "modbus-tcp"
host = "meters.lan.example"
"""


def one_of_every_kind(bus: str) -> str:
    return device("it", str(HERE / "independent.toml"), UNIT, period_s=1, bus=bus)


def written(tmp_path: Path, text: str) -> Path:
    site = tmp_path / "site.toml"
    site.write_text(text.replace("batch_age_s = 10", "batch_age_s = 1"))
    return site


@pytest.fixture
def wire():
    joined = JoinedPtys()
    yield joined.paths
    joined.close()


def assert_all_arrive(cab):
    """Once the bus is up, every point arrives with its exact value, three times, and there is not one error on the way."""

    def samples(name):
        views = [view for view in cab.broker.streams.values() if view.name == f"it/{name}"]
        return [sample for view in views for sample in view.samples if sample.reason != "bus_down"]

    def arrived(times):
        return lambda: all(len(samples(name)) >= times for name in EXPECTED)

    cab.run_until(arrived(1), within="60s")
    errors = cab.request("status")["buses"][0]["errors"]
    cab.run_until(arrived(4), within="60s")
    assert cab.request("status")["buses"][0]["errors"] == errors
    for name, expected in EXPECTED.items():
        reason = "invalid" if expected is None else ""
        assert {(sample.value, sample.reason) for sample in samples(name)} == {(expected, reason)}, name


@pytest.mark.real_time
@pytest.mark.parametrize("slave", [pymodbus_slave, libmodbus_slave])
def test_over_a_serial_line(cabinet, tmp_path, wire, slave: Callable):
    site = written(tmp_path, rtu_site([one_of_every_kind("rs485")], baud=BAUD))
    with slave(wire[1]):
        assert_all_arrive(cabinet(site, clock="real", serial_buses={"rs485": wire[0]}))


@pytest.mark.real_time
def test_over_tcp(cabinet, tmp_path):
    site = written(tmp_path, HEAD.format(board="esp32-devkit") + TCP_BUS + one_of_every_kind("lan"))
    with pymodbustcp_server() as address:
        assert_all_arrive(cabinet(site, clock="real", serial_buses={"lan": address}))
