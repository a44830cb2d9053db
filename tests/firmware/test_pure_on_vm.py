"""The pure modules on a real MicroPython VM and on CPython: one player, the same cases, the same results.

`pytest --vm PATH` names another MicroPython executable than the usual one, such as a 32-bit build.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from satama_sim.pytest_plugin import missing
from satama_sim.vm_path import VmMissing, find_vm

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"

# Runs on both. Bytes travel as hexadecimal text. One line per case: what came out, or the reason of the refusal.
PLAYER = """
import json
import sys

from gateway.acquire import modbus, registers
from gateway.core import exact, quality
from gateway.core.errors import GatewayError
from gateway.journal import ledger, record
from gateway.process import filters, pipeline, window
from gateway.uplink import senml


def text(value):
    if isinstance(value, (bytes, bytearray)):
        return "".join("%02x" % byte for byte in value)
    if isinstance(value, (tuple, list)):
        return "(" + " ".join([text(item) for item in value]) + ")"
    return str(value)


def crc(data, start, end):
    return modbus.crc16(bytes.fromhex(data), start, end)


def match(data, request):
    buf = bytearray(bytes.fromhex(data))
    return modbus.match_reply(buf, len(buf), bytes.fromhex(request))


def verdict(data, request):
    buf = bytearray(bytes.fromhex(data))
    return modbus.verdict(buf, len(buf), bytes.fromhex(request))


def decode(data, at, kind, order, m, shift, invalid):
    return registers.decode(bytearray(bytes.fromhex(data)), at, kind, order, m, shift, invalid)


def decode_bit(data, at, bit):
    return registers.decode_bit(bytearray(bytes.fromhex(data)), at, bit)


def run_filter(spec, readings):
    step = filters.build(spec)
    return [step.apply(mantissa, quality_byte) for mantissa, quality_byte in readings]


def run_window(outputs, windows):
    made = window.Window(outputs)
    results = []
    for whole, readings in windows:
        for mantissa, quality_byte in readings:
            made.add(mantissa, quality_byte)
        results.append(made.close(whole))
    return results


def run_pipeline(site, slots):
    made = pipeline.Pipeline(site)
    results = []
    for slot, readings in slots:
        made.close_windows(slot)
        for point, mantissa, quality_byte in readings:
            made.offer(point, mantissa, quality_byte)
        results.append(made.take())
    results.append([made.latest(point) for point in range(len(site["points"]))])
    return results


def write(*fields):
    return record.encode(*fields)


def read(data, at):
    buf = bytearray(bytes.fromhex(data))
    return record.decode(buf, at, len(buf))


def run_ledger(ids, events):
    made = ledger.Ledger(ids)
    for name, stream_id in events:
        getattr(made, name)(stream_id)
    return list(made.rows()), made.totals(), made.balanced()


def pack(base_name, exponents, rounds):
    made = senml.Pack(base_name, dict([tuple(pair) for pair in exponents]))
    for fields, utc, age_s in rounds:
        made.add(fields, None if utc < 0 else utc, age_s)
    return made.size(), made.finish()


PLAYS = {
    "divide": exact.divide_half_even,
    "scale": exact.scale,
    "float": exact.float_bits,
    "reason": quality.reason_name,
    "crc": crc,
    "request": modbus.read_request,
    "length": modbus.reply_length,
    "match": match,
    "verdict": verdict,
    "decode": decode,
    "bit": decode_bit,
    "filter": run_filter,
    "window": run_window,
    "pipeline": run_pipeline,
    "write": write,
    "read": read,
    "ledger": run_ledger,
    "pack": pack,
}


def play(lines):
    for line in lines:
        name, arguments = json.loads(line)
        try:
            print(name, text(PLAYS[name](*arguments)))
        except GatewayError as error:
            print(name, "refused", error.reason)


with open(sys.argv[1]) as lines:
    play(lines)
"""

LIMIT = 2**63 - 1
QUALITIES = [0, 0, 0, 0, 129, 131, 73, 134]


def mantissa(rng):
    largest = rng.choice([1, 999, 2**31, LIMIT])
    return rng.choice([0, 1, -1, LIMIT, -LIMIT, rng.randint(-largest, largest), rng.randint(-largest, largest)])


def reading(rng):
    return [mantissa(rng), rng.choice(QUALITIES)]


def exact_cases(rng):
    for _ in range(300):
        yield "divide", [mantissa(rng) * rng.choice([1, 5, 10**9 + 7]), rng.choice([-7, 2, 10, 4, 10**12])]
        yield "scale", [mantissa(rng), rng.choice([1, -1, 5, 36, 10**6]), rng.randint(-12, 6)]
        width = rng.choice([32, 64])
        bits = rng.getrandbits(width)
        if rng.random() < 0.6:  # of a size that meters have
            bits = rng.randint(0x3A000000, 0x4F000000) if width == 32 else rng.randint(0x3F50 << 48, 0x43F0 << 48)
            bits |= rng.getrandbits(1) << width - 1
        yield "float", [bits, width, rng.choice([1, -1, 1000, 36]), rng.randint(-9, 9)]
    for byte in range(256):
        yield "reason", [byte]


def modbus_cases(rng):
    from gateway.acquire import modbus

    for _ in range(200):
        data = rng.randbytes(rng.randint(0, 80))
        yield "crc", [data.hex(), rng.randint(0, len(data) // 2), len(data)]
        unit, function, count = rng.randint(1, 247), rng.randint(1, 4), rng.randint(1, 20)
        yield "request", [unit, function, rng.randint(0, 65500), count]
        yield "request", [rng.randint(-1, 300), rng.randint(-1, 6), rng.randint(-5, 70000), rng.randint(-1, 2100)]
        yield "length", [function, count]
        request = modbus.read_request(unit, function, rng.randint(0, 65500), count)
        size = modbus.reply_length(function, count) - 5
        body = rng.choice([bytes([unit, function, size]) + rng.randbytes(size), bytes([unit, function | 0x80, 2])])
        reply = body + modbus.crc16(body, 0, len(body)).to_bytes(2, "little")
        other = bytes([unit ^ 1]) + body[1:]
        late = other + modbus.crc16(other, 0, len(other)).to_bytes(2, "little")
        before = b"".join(rng.choice([b"", b"\x00", request, late]) for _ in range(2))
        received = bytearray(before + reply + b"\xff")
        for _ in range(4):
            yield "match", [received.hex(), request.hex()]
            yield "verdict", [received.hex(), request.hex()]
            if rng.random() < 0.5:
                received[rng.randrange(len(received))] ^= 1 << rng.randrange(8)
            else:
                del received[rng.randint(1, len(received)) :]


def register_cases(rng):
    special = [bytes(12), b"\xff" * 12, b"\x7f\x80\x00\x00\x80\x7f" * 2, b"\x43\x66" * 6]
    for _ in range(500):
        data = rng.choice([rng.randbytes(12), *special]).hex()
        kind = rng.choice(["u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64"])
        order = rng.choice(["big", "little"])
        m, shift = rng.choice([1, 36, -5]), rng.randint(-3, 3)
        invalid = rng.choice([[], [0], [0xFFFF, 0xFFFFFFFF, 2**64 - 1]])
        yield "decode", [data, rng.randint(0, 4), kind, order, m, shift, invalid]
        yield "bit", [data, rng.randint(0, 4), rng.randint(0, 63)]


def process_cases(rng):
    outputs = ["mean", "min", "max", "last", "delta"]
    for _ in range(100):
        spec = rng.choice([["range", -(2**31), 2**31], ["median", rng.choice([1, 3, 5, 15, 4, 17])], ["other"]])
        yield "filter", [spec, [reading(rng) for _ in range(20)]]
        windows = [[rng.randint(0, 3), [reading(rng) for _ in range(rng.randint(0, 5))]] for _ in range(5)]
        yield "window", [rng.sample(outputs, rng.randint(1, 5)), windows]
    for _ in range(30):
        streams, points = [], []
        for i in range(rng.randint(1, 12)):
            names = rng.choice([["each"], rng.sample(outputs, rng.randint(1, 5))])
            period = rng.choice([1, 2]) if names == ["each"] else rng.choice([10, 20])
            filters = rng.sample([["range", -(2**40), 2**40], ["median", 3]], rng.randint(0, 2))
            points.append([f"p{i}", -1, filters, [[name, len(streams) + k] for k, name in enumerate(names)]])
            for _ in names:
                streams.append([2 * len(streams), "s", "V", -1, "gauge", i % 3, period])
        first = rng.choice([7, 10, 2**30 - 15, 2**31 + 5])
        slots = []
        for slot in range(first, first + 45):
            slots.append([slot, [[point, *reading(rng)] for point in range(len(points)) if rng.random() < 0.6]])
        yield "pipeline", [{"streams": streams, "points": points}, slots]


def fields(rng):
    samples = [[rng.choice([0, 5, 127, 128, 70000, 2**32 - 1]), *reading(rng)] for _ in range(rng.randint(0, 6))]
    epoch, seq, seconds = (rng.choice([0, 1, 2**30, 2**32 - 1, rng.getrandbits(32)]) for _ in range(3))
    uptime_ms = rng.choice([0, 2**48 - 1, rng.getrandbits(40)])
    return [rng.randint(0, 15), epoch, seq, rng.random() < 0.5, seconds, uptime_ms, samples]


def journal_cases(rng):
    from gateway.journal import record

    for _ in range(200):
        made = fields(rng)
        yield "write", made
        at = rng.randint(0, 3)
        data = rng.randbytes(at) + record.encode(*made)
        yield "read", [data.hex(), at]
        damaged = bytearray(data)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        yield "read", [damaged.hex(), at]
        yield "read", [data[: rng.randint(0, len(data))].hex(), 0]
    for _ in range(20):
        names = ["produced", "recovered", "quarantined", "acknowledged", "dropped"]
        ids = sorted(rng.sample(range(99), 5))
        yield "ledger", [ids, [[rng.choice(names), rng.choice([*ids, 100])] for _ in range(60)]]


def uplink_cases(rng):
    exponents = [[0, 0], [5, -1], [127, -3], [128, 2], [70000, -30]]
    for _ in range(200):
        rounds = []
        for _ in range(rng.randint(0, 4)):
            rounds.append([[0, *fields(rng)], rng.choice([-1, 1_790_000_000, 2**32 + 5]), rng.choice([0, 23, 70000])])
        yield "pack", ["kala:gw-7:", exponents, rounds]


ROOMS = [exact_cases, modbus_cases, register_cases, process_cases, journal_cases, uplink_cases]


@pytest.fixture(scope="module")
def vm(request):
    try:
        return find_vm(request.config.getoption("--vm", default=None))
    except VmMissing as error:
        missing(str(error))


@pytest.mark.parametrize("cases", ROOMS, ids=lambda room: room.__name__)
def test_same_results(cases, vm, tmp_path):
    player, lines = tmp_path / "player.py", tmp_path / "cases"
    player.write_text(PLAYER)
    lines.write_text("".join(json.dumps(case) + "\n" for case in cases(random.Random(7))))
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "micropython.py").write_text("def const(value):\n    return value\n")

    def results(command, paths):
        environment = {**os.environ, "MICROPYPATH": str(FIRMWARE), "PYTHONPATH": os.pathsep.join(map(str, paths))}
        arguments = [*command, str(player), str(lines)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    here = results([sys.executable], [shim, FIRMWARE])
    there = results(vm, [])
    assert len(here) >= 200
    for case, ours, theirs in zip(lines.read_text().splitlines(), here, there, strict=True):
        assert ours == theirs, case
