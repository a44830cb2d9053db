"""A SunSpec device, walked by hand as the specification says."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import pytest
from pymodbus.framer import FramerRTU

from satama.profiles.library import load_profile
from satama_sim.bus.devices import ModbusUnits
from satama_sim.world import build_world

PROFILE = """
name = "inverter"
vendor = "Satama"
model = "three phases"
kind = "inverter"
interface = "modbus"
sources = ["made up; register places as in SunSpec model 103"]

[tcp]
unit = 1

[limits]
max_registers = 125
gap_ms = 0
turnaround_ms = 20
timeout_ms = 500

[sunspec]
model = 103

[[point]]
name = "current"
quantity = "current"
unit = "A"
function = 3
address = 2
type = "u16"
scale_register = 6
invalid = [0xFFFF]
range = [0, 100]
source = "made up"

[[point]]
name = "ac_power"
quantity = "active_power"
unit = "W"
function = 3
address = 14
type = "s16"
scale_register = 15
invalid = [0x8000]
range = [-70000, 70000]
source = "made up"

[[point]]
name = "energy"
quantity = "active_energy_total"
unit = "Wh"
exponent = 0
function = 3
address = 24
type = "u32"
scale_register = 26
source = "made up"
"""


def device(path, seed):
    path.write_text(PROFILE)
    rows = [SimpleNamespace(id="pv", profile=str(path), bus="lan", unit=1)]
    compiled = SimpleNamespace(site=SimpleNamespace(devices=rows), profiles={"pv": load_profile(path)})
    return ModbusUnits(compiled, build_world(compiled, seed, 1_750_000_000), "lan")


def read(bus, address, count):
    """The registers, or None when the device refuses."""
    body = struct.pack(">BBHH", 1, 3, address, count)
    ((_, reply, _),) = bus.answer(body + FramerRTU.compute_CRC(body).to_bytes(2, "big"), 0)
    return None if reply[1] & 0x80 else list(struct.unpack(f">{count}H", reply[3:-2]))


def walk(bus):
    """(base, [(model, address of its id, length), ...]) up to the end."""
    base = next(base for base in (40000, 50000, 0) if read(bus, base, 2) == [0x5375, 0x6E53])
    at, models = base + 2, []
    while (head := read(bus, at, 2))[0] != 0xFFFF:
        models.append((head[0], at, head[1]))
        at += 2 + head[1]
    assert head == [0xFFFF, 0]
    assert read(bus, at + 2, 1) is None
    return base, models


@pytest.mark.parametrize("seed", range(12))
def test_the_walk_leads_to_the_model(tmp_path, seed):
    bus = device(tmp_path / "inverter.toml", seed)
    base, models = walk(bus)
    assert models[0] == (1, base + 2, 66)
    ((_, at, length),) = [model for model in models if model[0] == 103]
    assert length == 50
    common = read(bus, base + 4, 66)
    assert b"".join(word.to_bytes(2, "big") for word in common[:16]).rstrip(b"\0") == b"Satama"
    assert None not in read(bus, at, 52), "a whole model can be read at once"
    assert [read(bus, other, 1) for other in (40000, 50000, 0) if other != base] == [None, None]
    for name, place, scale_at, kind in (("current", 2, 6, "H"), ("ac_power", 14, 15, "h"), ("energy", 24, 26, "I")):
        registers = read(bus, at + place, scale_at - place + 1)
        scale = registers[-1] - 65536 if registers[-1] & 0x8000 else registers[-1]
        size = 2 if kind == "I" else 1
        (raw,) = struct.unpack(">" + kind, b"".join(word.to_bytes(2, "big") for word in registers[:size]))
        truth, unit = bus.world.truth("pv", name), Fraction(10) ** scale
        assert abs(raw * unit - truth) <= unit / 2, name


def test_it_stands_elsewhere_in_other_worlds(tmp_path):
    places = {walk(device(tmp_path / "inverter.toml", seed))[1][-1][1] for seed in range(12)}
    assert len(places) > 4
