"""The pure modules on a real MicroPython VM and on CPython: one player, the same cases, the same results.

`pytest --vm PATH` names another MicroPython executable than the usual one, such as a 32-bit build.
"""

import json
import os
import random
import struct
import subprocess
import sys
import zlib
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from modbus_exchanges import encoded, exchanges, on_rtu, on_tcp, refusal

from satama_sim.bus.pushing import crc16_arc
from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing, find_vm

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"

# Runs on both. Bytes travel as hexadecimal text. One line per case: what came out, or the reason of the refusal.
PLAYER = """
import json
import sys
from array import array
from binascii import crc32

from gateway.acquire.inputs import calibrations, curve, totals
from gateway.acquire.modbus import cuts, protocol, reads, registers, rtu_frame, tcp_frame, unit, writes
from gateway.acquire.pushed import stream, telegram
from gateway.core import exact, quality, record, record_reader, record_writer, schema
from gateway.core.errors import GatewayError
from gateway.journal import journal, ledger, ledger_page, state
from gateway.process import counters, filters, pipeline, report, window
from gateway.uplink import batch
from gateway.uplink.encoding import cbor
from gateway.uplink.encoding import compact
from gateway.uplink.encoding import json_text
from gateway.uplink.encoding import senml


def text(value):
    if isinstance(value, (bytes, bytearray)):
        return "".join("%02x" % byte for byte in value)
    if isinstance(value, (tuple, list)):
        return "(" + " ".join([text(item) for item in value]) + ")"
    return str(value)


def raw(data):
    return bytearray(bytes.fromhex(data))


def crc(data, start, end):
    return rtu_frame.crc16(raw(data), start, end)


def request(name, arguments, unit, transaction):
    pdu = getattr(protocol if hasattr(protocol, name) else writes, name)(*arguments)
    return pdu, protocol.reply_size(pdu), tcp_frame.frame(transaction, unit, pdu), rtu_frame.frame(unit, pdu)


def size_of(data, at, length, pdu):
    buf = raw(data)
    return protocol.size_of(buf, at, length), protocol.fits(bytes.fromhex(pdu), buf, at, max(0, length - at))


def rtu_match(data, frame):
    buf, frame = raw(data), bytes.fromhex(frame)
    found = [rtu_frame.match(buf, len(buf), frame, echo) for echo in (False, True)]
    return found, rtu_frame.verdict(buf, len(buf), frame), rtu_frame.reply_bytes(frame)


def tcp_match(data, frame):
    buf = raw(data)
    return tcp_frame.match(buf, len(buf), bytes.fromhex(frame))


def run_telegram(pieces, longest, lines):
    made = telegram.Telegram(longest)
    good = []
    for piece in pieces:
        buf = raw(piece)
        good.append(made.feed(buf, len(buf)))
    values = [made.value(*line) for line in lines]
    made.gap()
    return good, values, made.errors(), made.torn, made.long


def run_frames(header, length, pieces, field):
    made = stream.Frames(header, length, "sum8")
    results = []
    for piece in pieces:
        buf = raw(piece)
        results.append((made.feed(buf, len(buf)), made.value(field), made.checksum, made.skipped, made.under_way))
    return results


def value(data, at, field):
    return registers.value(raw(data), at, field)


def ascii(data, at, count):
    return registers.text(raw(data), at, count)


def run_device(events):
    one = unit.Unit([0, 1, "meter", 20, 1000, 0, [], 0])
    seen = []
    for now, (what, took) in enumerate(events):
        if what == "answer":
            one.answered(20, took)
        else:
            one.failed(quality.TIMEOUT if what == "silence" else quality.CRC, now * 1000)
        seen.append((one.patience_us(20, 1000), one.earliest_us(20), one.dead, one.due(now * 1000 + 6000)))
    return seen


def run_cuts(fields, count, address, day):
    read = reads.Read([0, 3, address, count, 20, 500, fields], unit.Unit([0, 1, "meter", 20, 1000, 0, [], 0]))
    cut = cuts.best_cut(read.parts[0])
    learned = [read.refused(read.parts[0], cut, day) for _ in range(3)]
    kept = cuts.verdicts([read], lambda unit: 0xFFFFFFFF)
    again = reads.Read([0, 3, address, count, 20, 500, fields], read.unit)
    cuts.recall([again], kept, lambda unit: 0xFFFFFFFF)
    return cut, learned, kept, [(part.address, part.count, part.fields) for part in again.parts]


def run_filter(spec, readings):
    step = filters.build(spec)
    return [step.apply(mantissa, quality_byte, now_s) for mantissa, quality_byte, now_s in readings]


def run_window(outputs, windows):
    made = window.Window(outputs, 4)
    results, now_s = [], 2**30 - 20
    for whole, readings in windows:
        for mantissa, quality_byte in readings:
            made.add(mantissa, quality_byte, now_s)
            now_s += 7
        results.append(made.close(whole, now_s))
    return results


def run_report(change, heartbeat_s, values):
    made = report.ByException(change, heartbeat_s)
    return [made.due(mantissa, quality_byte, 2**30 - 9 + at) for at, (mantissa, quality_byte) in enumerate(values)]


class Keep:
    # what counters know, over a restart

    def __init__(self):
        self.kept = {}

    def get(self, key):
        return self.kept.get(key)

    def put(self, key, data):
        self.kept[key] = data
        return True


def run_pipeline(site, slots):
    keep, happened, results = Keep(), [], []
    kept = counters.Counters(keep)
    made = pipeline.Pipeline(site, kept, lambda *event: happened.append(event))
    for slot, readings in slots:
        made.begin(slot, slot)
        for point, mantissa, quality_byte in readings:
            made.offer(point, mantissa, quality_byte)
        taken = made.finish(slot, True)
        kept.tend(slot)
        results.append([(group[0], group[1].id, group[2], list(group[3]), group[4]) for group in taken])
    results.append([(made.latest(point), made.hidden(point)) for point in range(len(site["points"]))])
    return results, happened, [keep.kept[key] for key in sorted(keep.kept)]


def rounds_of(of, fields):
    cls, period, ids, exponents = of
    made = schema.Schema(cls, period, ids, exponents)
    return [
        record.Round(made, epoch, seq, synced, seconds, uptime_ms, array("q", values), bytearray(marks))
        for epoch, seq, synced, seconds, uptime_ms, values, marks in fields
    ]


def plain(item):
    if isinstance(item, schema.Schema):
        return item.id, list(item.ids), list(item.exponents)
    common = item.epoch, item.seq, item.synced, item.seconds, item.uptime_ms
    return common, item.body if hasattr(item, "body") else list(item.samples())


def write(of, fields):
    made = rounds_of(of, fields)
    writer = record_writer.Writer(3)
    return record_writer.encode_schema(made[0].schema), [writer.encode(item) for item in made]


def read(data):
    buf = bytearray(bytes.fromhex(data))
    reader = record_reader.Reader({})
    at, found = 0, []
    while at < len(buf):
        try:
            end, item = reader.read(buf, at, len(buf))
            found.append(plain(item))
        except GatewayError as error:
            found.append(error.reason)
            try:
                end = record.measure(buf, at, len(buf))[1]
            except GatewayError:
                break
        at = end
    return found


def run_journal(of, fields, events):
    # 12 blocks for the journal, the last two for the state ring
    partition = Nor(14)
    classes = {stream_id: of[0] for stream_id in of[2]}

    def start():
        kept = state.State(partition, 12, 2)
        counts = ledger.Ledger(of[2])
        return journal.Journal(partition, counts, kept, 0, 12, (10, 20), classes), counts

    made, counts = start()
    kept = rounds_of(of, fields)
    for at in range(3):
        for item in kept:
            made.append(1, item)
        for event in events:
            made.append_event(record.Event(*event[:-1], bytes.fromhex(event[-1])))
        taken = [made.take_live(cls) for cls in range(3)] + [made.take_backlog(cls) for cls in range(3)]
        keys = [(entry.content.cls, entry.sequence, entry.offset) for entry in taken if entry]
        made.acknowledged(keys[:at])
        made.fall_behind(of[0], rounds_of(of, fields)[-1].uptime_ms)
    made.save_all()
    made, counts = start()
    found = []
    for cls in range(3):
        while True:
            entry = made.take_backlog(cls)
            if entry is None:
                break
            found.append(plain(entry.content))
    return found, made.damaged, list(counts.rows()), crc32(b"".join(partition.blocks))


class Nor:
    # a partition of flash: bits go from 1 to 0, and back only by blocks

    def __init__(self, blocks):
        self.blocks = [bytearray(b"\\xff" * 4096) for _ in range(blocks)]

    def ioctl(self, request, block):
        self.blocks[block] = bytearray(b"\\xff" * 4096)

    def readblocks(self, block, buf, offset=0):
        buf[:] = self.blocks[block][offset : offset + len(buf)]

    def writeblocks(self, block, buf, offset):
        for at in range(len(buf)):
            self.blocks[block][offset + at] &= buf[at]


def run_state(blocks, puts):
    partition = Nor(blocks)
    made = state.State(partition, 0, blocks)
    for key, data, restart in puts:
        made.put(key, bytes.fromhex(data))
        if restart:
            made = state.State(partition, 0, blocks)
    values = [made.get(key) for key in range(4)]
    return values, made.failures, made.damaged, crc32(b"".join(partition.blocks))


def run_totals(events):
    kept, memory = state.State(Nor(2), 0, 2), [b""]

    def rtc(content=None):
        if content is None:
            return memory[0]
        memory[0] = bytes(content)

    results, both = [], []
    for now_ms, what, which, amount in events:
        if what == "start" or not both:
            made = totals.Totals(kept, rtc)
            both = [made.open(5, 0, now_ms), made.open(2**30 - 1, 60000, now_ms)]
        if what == "offer":
            results.append(made.offer(both[which], now_ms))
        elif what == "second":
            made.keep_rtc()
        else:
            both[which].count += amount
            both[which].stalled = amount % 3 == 0
    return results, [total.suspicions for total in both], memory


def run_curve(table, points):
    return [(curve.value(table, x), curve.fault(x, low, high)) for x, low, high in points]


def run_calibrations(calls):
    kept = state.State(Nor(2), 0, 2)
    results = []
    for number, x, mantissa in calls:
        try:
            results.append(calibrations.Calibrations(kept).calibrate(number, x, mantissa))
        except GatewayError as error:
            results.append(error.reason)
        results.append(calibrations.Calibrations(kept).table(number))
    return results


def run_ledger(of, steps):
    made = ledger.Ledger(of[2][:3])
    kept = schema.Schema(*of)
    for column, marks in steps:
        what = (kept, bytes(marks) if 255 in marks else None) if marks else (None, None)
        made.leave(column, what) if column else made.queue(what)
    rows = sorted([(row[0], row[1], row[5] & 0xFFFF, row[3], row[4]) for row in made.rows()])
    page = ledger_page.Page(1, 2, 3, 4, rows)
    least = made.empty()
    least.row(of[2][0], of[0], ledger.ACKNOWLEDGED, 3)
    made.derive(least)
    return list(made.rows()), made.totals(), made.balanced(), page.encode()


def pack(of, fields, utc, age_s):
    packs = senml.Pack(cbor, "k:g:", {5: "alias"}), senml.Pack(json_text, "k:g:", {}), compact.Pack()
    for made in packs:
        for item in rounds_of(of, fields):
            made.add(item, None if utc < 0 else utc, age_s)
    return [made.finish() for made in packs]


class Queued:
    def __init__(self, size, content):
        self.size = size
        self.sequence = 1
        self.content = content
        self.samples = len(list(content.stream_ids()))


class Lists:
    # in the place of the journal: every third entry is backlog

    def __init__(self, entries):
        self.live = [entry for at, entry in enumerate(entries) if at % 3]
        self.old = [entry for at, entry in enumerate(entries) if not at % 3]

    def first(self, entries, cls):
        for entry in entries:
            if entry.content.cls == cls:
                return entry
        return None

    def peek_live(self, cls):
        return self.first(self.live, cls)

    def take_live(self, cls):
        entry = self.first(self.live, cls)
        self.live.remove(entry)
        return entry

    def peek_backlog(self, cls):
        return self.first(self.old, cls)

    def take_backlog(self, cls):
        entry = self.first(self.old, cls)
        self.old.remove(entry)
        return entry

    def fresh(self, cls):
        mine = [entry for entry in self.live if entry.content.cls == cls]
        return sum([entry.size for entry in mine]), sum([entry.samples for entry in mine])

    def fall_behind(self, cls, since_ms):
        self.old += [entry for entry in self.live if entry.content.cls == cls]
        self.live = [entry for entry in self.live if entry.content.cls != cls]


def choose(of, fields, sizes, limits, now_ms, urgent):
    made = batch.Batch(Lists([Queued(size, item) for size, item in zip(sizes, rounds_of(of, fields))]), *limits)
    results = []
    for at in range(12):
        found = made.next(now_ms + at * 10, urgent, at % 3 > 0)
        results.append(None if found is None else (found[0], [entry.content.seq for entry in found[1]]))
        made.sent(50, now_ms + at * 10)
        results.append(made.pause_ms(now_ms, 500))
    return results


PLAYS = {
    "divide": exact.divide_half_even,
    "scale": exact.scale,
    "float": exact.float_bits,
    "reason": quality.reason_name,
    "crc": crc,
    "request": request,
    "size": size_of,
    "rtu": rtu_match,
    "tcp": tcp_match,
    "value": value,
    "telegram": run_telegram,
    "frames": run_frames,
    "text": ascii,
    "device": run_device,
    "cuts": run_cuts,
    "filter": run_filter,
    "window": run_window,
    "report": run_report,
    "pipeline": run_pipeline,
    "write": write,
    "read": read,
    "ledger": run_ledger,
    "state": run_state,
    "totals": run_totals,
    "curve": run_curve,
    "calibrations": run_calibrations,
    "pack": pack,
    "journal": run_journal,
    "choose": choose,
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


def examples(strategy, count):
    """So many examples of a hypothesis strategy, the same ones each time."""
    made = []

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def collect(example):
        made.append(example)

    collect()
    return made


def damaged(rng, data):
    """The bytes, then with ever more of them wrong or lost."""
    data = bytearray(data)
    for _ in range(4):
        yield data.hex()
        if rng.random() < 0.5 and data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            del data[rng.randint(1, max(1, len(data))) :]


def request_cases(rng):
    for _ in range(300):
        address = rng.choice([0, 7, 200, 65435, 65535, -1, 65536, rng.randint(0, 60000)])
        count = rng.choice([0, 1, 2, 19, 121, 125, 1968, 2000])
        word = rng.choice([-1, 0, 65535, 65536, rng.randint(0, 65535)])
        words = [rng.randint(0, 65535) for _ in range(min(count, 125))]
        made = rng.choice([["read", [rng.randint(0, 5), address, count]], ["write_coil", [address, count]],
                           ["write_register", [address, word]], ["write_registers", [address, words]],
                           ["write_coils", [address, [rng.getrandbits(1) for _ in range(count)]]],
                           ["mask_write", [address, word, 65535 - word]], ["server_id", []],
                           ["read_write", [address, count, 9, words]], ["device_id", [rng.randint(0, 5), address]]])  # fmt: skip
        yield "request", [*made, rng.choice([0, 1, 1, 247, 255, 256]), rng.choice([0, 1, 1, 65535, 65536])]


def modbus_cases(rng):
    yield from request_cases(rng)
    late = examples(exchanges(), 100)
    for exchange in examples(exchanges(most=40), 300):
        unit, other, stale = rng.randint(1, 247), rng.randint(1, 247), rng.choice(late)
        data = rng.randbytes(rng.randint(0, 80))
        yield "crc", [data.hex(), rng.randint(0, len(data) // 2), len(data)]
        answers = [exchange.answered, exchange.answered, refusal(exchange.pdu[0], rng.randint(1, 11))]
        answer = rng.choice(answers)
        for pdu in damaged(rng, data[:3] + encoded(answer)):
            yield "size", [pdu, min(3, len(data)), rng.randint(0, len(pdu) // 2), exchange.pdu.hex()]
        asked = on_rtu(exchange.asked, unit)
        before = [b"", b"\x00\xff", asked, on_rtu(stale.answered, unit), on_rtu(stale.answered, other), data[:9]]
        received = rng.choice(before) + rng.choice(before) + on_rtu(answer, unit) + rng.choice(before)
        for variant in damaged(rng, received):
            yield "rtu", [variant, asked.hex()]
        number = rng.choice([0, 1, 300, 65535])
        before = [b"", on_tcp(stale.answered, other, (number - rng.randint(1, 9)) & 0xFFFF)]
        received = rng.choice(before) + on_tcp(answer, unit, number) + rng.choice([b"", data])
        for variant in damaged(rng, received):
            yield "tcp", [variant, on_tcp(exchange.asked, unit, number).hex()]


def register_cases(rng):
    special = [
        bytes(20),
        b"\xff" * 20,
        b"\x7f\x80\x00\x00\x80\x7f" * 3,
        b"\x43\x66" * 10,
        b"\x12\x90" * 10,
        b"\x00\x03" * 9,
    ]
    kinds = ["bool", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "bcd16", "bcd32", "bcd64"]
    for _ in range(800):
        data = rng.choice([rng.randbytes(20), *special]).hex()
        at, offset = rng.randint(0, 4), rng.choice([0, 0, 0, 1, 2, 9])
        order, m, shift = rng.choice(["ABCD", "CDAB", "BADC", "DCBA"]), rng.choice([1, 36, -5]), rng.randint(-3, 3)
        invalid = rng.choice([[], [0], [0xFFFF, 0xFFFFFFFF, 2**64 - 1], [[0x8000, 0x8000], [2**63, 2**63]]])
        field = [3, offset, rng.choice(kinds), order, m, shift, invalid]
        more = [["bits", rng.randint(0, 40), rng.randint(1, 33)], ["scale", rng.randint(0, 9)]]
        yield "value", [data, at, field + rng.choice([[], [], [rng.choice(more)]])]
    for _ in range(100):
        data = bytes(rng.choice(b"OK  \x00\x00\xb0~A") for _ in range(8))
        codes = ["codes", rng.randint(1, 5), [["OK", 2**40], ["", 0], ["A", -7]]]
        yield "value", [data.hex(), 0, [3, 0, "string", "ABCD", 1, rng.randint(-1, 3), [], codes]]
        yield "value", [b"OK\x00\x00".hex(), 0, [3, 0, "string", "ABCD", 1, 0, [], ["codes", 2, codes[2]]]]
        yield "text", [data.hex(), rng.randint(0, 9), rng.randint(0, 5)]


def pieces(rng, data):
    """The bytes in hexadecimal, cut at random places."""
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randint(0, 8)))
    return [data[start:end].hex() for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def pushed_cases(rng):
    units = ["kWh", "kvar", "kVAr", "", "V"]
    sounds = [b"", b"\0\xff", b"/!0000", b"!", b"/" + b"x" * 400, b"1-0:1.8.0(1*kWh)\r\n"]
    for _ in range(300):
        lines = ["0-0:1.0.0(210217184019W)"]
        keys = [f"1-0:{rng.randint(1, 9)}.{rng.choice([7, 8])}.0" for _ in range(rng.randint(1, 8))]
        for key in keys:
            number = rng.choice(["00006678.394", "-0.0005", "230.1", "", "1.2.3", str(2**63), "1" * 33, "1_0"])
            tail = rng.choice(["", "", "*255", "(101209112500W)"])
            lines.append(f"{key}{tail}({number}*{rng.choice(units)})" + rng.choice(["", "", "", ")", "("]))
        body = ("/SAT5\\253833635_A\r\n\r\n" + "".join(line + "\r\n" for line in lines) + "!").encode()
        whole = body + f"{crc16_arc(body):04X}\r\n".encode()
        asked = [[rng.choice(keys), rng.choice(units), rng.choice([1, -25]), rng.randint(-3, 6)] for _ in range(8)]
        for variant in damaged(rng, rng.choice(sounds) + whole + rng.choice(sounds) + whole):
            yield "telegram", [pieces(rng, bytes.fromhex(variant)), rng.choice([2048, 2048, 300]), asked]
        field = [
            3,
            rng.randint(0, 3),
            rng.choice(["u16", "s16"]),
            rng.choice(["ABCD", "BADC"]),
            1,
            rng.randint(-2, 2),
            [],
        ]
        bodies = [b"\xff" + rng.randbytes(2) for _ in range(5)]
        frames = b"".join(body + bytes((sum(body) & 0xFF,)) for body in bodies)
        for variant in damaged(rng, rng.choice([b"", b"\xff", b"\xff\xff\0"]) + frames):
            yield "frames", [[0xFF], 4, pieces(rng, bytes.fromhex(variant)), field]


def filter_specs(rng):
    """One of every kind, now and then with arguments that are refused."""
    size, small, large = rng.choice([1, 2, 3, 5, 15, 31, 32]), rng.randint(0, 9), rng.choice([1, 5, 2**31, LIMIT])
    low, high = sorted([mantissa(rng), mantissa(rng)])
    xs = sorted({mantissa(rng) for _ in range(rng.randint(2, 24))})
    yield from [["range", low, high], ["rate", large, small, rng.randint(1, 4)], ["stuck", large, small]]
    yield from [["median", size], ["quantile", size, rng.randint(0, 1001)], ["mean", size], ["ema", small, 9]]
    yield from [["hampel", size, 44478, 10000], ["hampel", size, small, large], ["ema", large, LIMIT]]
    yield from [["deadband", large, small], ["throttle", small], ["hysteresis", low, high], ["debounce", small]]
    yield from [["hold", small], ["calibrate", [[x, mantissa(rng)] for x in xs]], ["scale", mantissa(rng), large]]
    yield from [["offset", mantissa(rng)], ["clamp", low, high], ["clamp", high, low], ["other"]]


def filter_cases(rng):
    for _ in range(30):
        for spec in filter_specs(rng):
            now_s, readings = rng.choice([0, 2**30 - 9]), []
            for _ in range(40):
                now_s = max(0, now_s + rng.choice([0, 1, 1, 1, 4, -1, -3600, 2**31]))
                values = [rng.randint(-9, 9), rng.randint(0, 1), mantissa(rng)]
                readings.append([rng.choice(values), rng.choice(QUALITIES), now_s])
            yield "filter", [spec, readings]


def process_cases(rng):
    yield from filter_cases(rng)
    outputs = ["mean", "min", "max", "last", "delta"]
    for _ in range(100):
        windows = [[rng.randint(0, 3), [reading(rng) for _ in range(rng.randint(0, 5))]] for _ in range(5)]
        chosen = [*outputs, "count", "time_mean", "p1", "p50", "p90"]
        yield "window", [rng.sample(chosen, rng.randint(1, len(chosen))), windows]
        yield "report", [rng.choice([1, 2**40]), rng.choice([0, 3]), [reading(rng) for _ in range(20)]]
    for _ in range(30):
        streams, points = [], []
        for i in range(rng.randint(1, 12)):
            names = rng.choice([["each"], rng.sample(outputs, rng.randint(1, 5))])
            period = rng.choice([1, 2]) if names == ["each"] else rng.choice([10, 20])
            filters = rng.sample([["range", -(2**40), 2**40], ["median", 3]], rng.randint(0, 2))
            if rng.random() < 0.3:
                filters = [["counter", rng.choice([0, 1000]), 9, 1, 2, 1, 0, 1]]
            points.append([f"p{i}", -1, filters, [[name, len(streams) + k] for k, name in enumerate(names)]])
            if rng.random() < 0.3:
                points[-1].append({"report": [5, 20]})
            elif rng.random() < 0.3:
                points[-1].append({"private": [period, rng.choice(["mean", "last"]), rng.randint(0, 1)]})
            for _ in names:
                streams.append([2 * len(streams), "s", "V", -1, "gauge", i % 3, period, i % 2])
        first = rng.choice([7, 10, 2**30 - 15, 2**31 + 5])
        slots = []
        for slot in range(first, first + 45):
            slots.append([slot, [[point, *reading(rng)] for point in range(len(points)) if rng.random() < 0.6]])
        derived = []
        for at in range(len(points), len(points) + rng.randint(0, 2)):
            streams.append([2 * len(streams), "s", "V", -1, "gauge", 2, 1, 0])
            derived.append(["sum", [0, at - 1], [at], 1, 2, [1, -1]])
            points.append([f"p{at}", -1, [], [["each", len(streams) - 1]]])
        yield "pipeline", [{"streams": streams, "points": points, "derived": derived}, slots]


def series(rng):
    """(schema, rounds) as arguments of the player."""
    ids = sorted(
        {rng.choice([0, 5, 127, 128, 70000, 2**32 - 1, rng.getrandbits(16)]) for _ in range(rng.randint(1, 9))}
    )
    of = [rng.randint(0, 2), rng.choice([1, 10, 86400]), ids, [rng.randint(-6, 3) for _ in ids]]
    rounds, seq, uptime_ms = [], 0, rng.choice([0, 2**42, rng.getrandbits(40)])
    for _ in range(rng.randint(1, 6)):
        seq += rng.choice([1, 1, 7, 300])
        uptime_ms += rng.randint(0, 100_000)
        seconds = rng.choice([0, 2**30, 2**32 - 1, rng.getrandbits(32)])
        readings = [reading(rng) for _ in ids]
        values = [mantissa for mantissa, _ in readings]
        marks = [quality_byte if rng.random() < 0.8 else 255 for _, quality_byte in readings]
        rounds.append([rng.choice([3, 3, 3, 2**32 - 1]), seq, rng.random() < 0.5, seconds, uptime_ms, values, marks])
    return of, rounds


def journal_cases(rng):
    from gateway.core import record, record_writer, schema

    for _ in range(100):
        of, rounds = series(rng)
        yield "write", [of, rounds]
        kept = schema.Schema(*of)
        writer = record_writer.Writer(3)
        data = bytearray(record_writer.encode_schema(kept))
        for *head, values, marks in rounds:
            data += writer.encode(record.Round(kept, *head, array("q", values), bytearray(marks)))
        yield "read", [data.hex()]
        damaged = bytearray(data)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        yield "read", [damaged.hex()]
        yield "read", [data[: rng.randint(0, len(data))].hex()]
        body = rng.randbytes(rng.randint(0, 30))
        head = bytes([5 + len(body), rng.randrange(32)]) + body
        yield "read", [(record_writer.encode_schema(kept) + head + struct.pack(">I", zlib.crc32(head))).hex()]
    for _ in range(20):
        events = [
            [rng.randint(0, 2), 3, seq, True, rng.getrandbits(32), 999, 5, rng.randbytes(9).hex()] for seq in range(3)
        ]
        yield "journal", [*series(rng), events]
    for _ in range(20):
        of, rounds = series(rng)
        steps = [[rng.choice([0, 0, 1, 2, 3]), rng.choice([[], *[row[-1] for row in rounds]])] for _ in range(60)]
        yield "ledger", [of, steps]


def bus_cases(rng):
    for _ in range(100):
        events = [[rng.choice(["answer", "silence", "noise"]), rng.randrange(1, 900_000)] for _ in range(40)]
        yield "device", [events]
    for _ in range(100):
        fields, at = [], 0
        for point in range(rng.randint(2, 12)):
            at += rng.choice([0, 0, 1, 5, 9])
            kind = rng.choice(["u16", "s32", "f64", "bcd32"])
            fields.append([point, at, kind, "ABCD", 1, 0, []])
            at += {"u16": 1, "s32": 2, "f64": 4, "bcd32": 2}[kind]
        yield "cuts", [fields, at, rng.randrange(60_000), rng.randrange(10_000)]


def input_cases(rng):
    for _ in range(60):
        puts = [
            [rng.randrange(4), rng.randbytes(rng.choice([0, 1, 30, 200, 513])).hex(), rng.random() < 0.1]
            for _ in range(80)
        ]
        yield "state", [rng.choice([2, 3]), puts]
        events = []
        for step in range(60):
            what = rng.choice(["start", "offer", "second", "pulses", "pulses", "offer"])
            events.append([step * 7000, what, rng.randrange(2), rng.choice([0, 1, 3, 2**31, 2**40])])
        yield "totals", [events]
    for _ in range(100):
        xs = sorted(rng.sample(range(5_000_001), rng.randint(2, 16)))
        table = [
            [x, rng.choice([0, 5, rng.randint(-(10**6), 10**6), rng.randint(-(2**63) + 1, 2**63 - 1)])] for x in xs
        ]
        limits = [-1, 0, 360_000, 2_100_000]
        yield "curve", [table, [[rng.randint(0, 5_000_000), rng.choice(limits), rng.choice(limits)] for _ in range(20)]]
        calls = [
            [rng.choice([1, 77, 2**30 - 1]), rng.randint(0, 300) * 10_000, rng.choice([0, -5, 2**62])]
            for _ in range(12)
        ]
        yield "calibrations", [calls]


def uplink_cases(rng):
    for _ in range(150):
        of, rounds = series(rng)
        yield "pack", [of, rounds, rng.choice([-1, 1_790_000_000, 2**32 + 5]), rng.choice([0, 23, 70000])]
        sizes = [rng.randint(10, 300) for _ in rounds]
        limits = [rng.choice([0, 11]), rng.choice([20, 300, 1000]), rng.choice([5, 100]), 10_000, rng.choice([0, 900])]
        now_ms = rounds[-1][4] + rng.choice([0, 9_999, 10_000, 130_000])
        yield "choose", [of, rounds, sizes, limits, now_ms, rng.random() < 0.3]


ROOMS = [
    exact_cases,
    modbus_cases,
    register_cases,
    pushed_cases,
    input_cases,
    bus_cases,
    process_cases,
    journal_cases,
    uplink_cases,
]


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


CHAINS = """
import gc
import sys

from gateway.process import counters, filters

CHAIN = (
    ["range", -1000000000000, 1000000000000],
    ["rate", 5000, 1, 3],
    ["hampel", 5, 44478, 10000],
    ["median", 5],
    ["deadband", 10, 3600],
)
for spec in CHAIN:
    filters.build(spec)  # the modules themselves are not counted
gc.collect()
before = gc.mem_alloc()
chains = [[filters.build(spec) for spec in CHAIN] for _ in range(100)]
for now_s in range(40):
    for number, chain in enumerate(chains):
        reading = (number * 1000 + now_s, 0)
        for step in chain:
            reading = step.apply(reading[0], reading[1], now_s)
            if reading is None:
                break
gc.collect()
print(gc.mem_alloc() - before, sys.maxsize)
"""
MOST_BYTES = 120_000  # on a VM of 64-bit words; half of it on the chip's 32


def test_five_filters_on_100_points_stay_within_their_bound(vm, tmp_path):
    program = tmp_path / "chains.py"
    program.write_text(CHAINS)
    done = subprocess.run(
        [*vm, str(program)],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    used, widest = map(int, done.stdout.split())
    assert 10_000 < used <= (MOST_BYTES if widest > 1 << 32 else MOST_BYTES // 2)
