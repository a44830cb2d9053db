"""uplink.mqtt.packets and uplink.mqtt.session on a real MicroPython and on CPython: the same streams and the same events, the same results."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from satama_sim.broker import packets as broker
from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing, find_vm

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"

PLAYER = """
import json
import sys

from gateway.uplink.errors import ProtocolError
from gateway.uplink.mqtt.packets import Parser, head_room, put_publish_head
from gateway.uplink.mqtt.session import Session


def hexadecimal(data):
    return "".join("%02x" % byte for byte in data)


def stream(pieces):
    parser = Parser()
    for piece in pieces:
        buf, at = bytearray(bytes.fromhex(piece)), 0
        while at < len(buf):
            try:
                at = parser.take(buf, at, len(buf))
            except ProtocolError as error:
                print("refused", error.args[0])
                break
            if parser.kind == 0x20:
                print("connack", parser.present, parser.code)
            elif parser.kind == 0x30:
                print("publish", hexadecimal(parser.topic), hexadecimal(parser.payload), parser.qos, parser.retain, parser.dup, parser.id)
            elif parser.kind:
                print(parser.kind, parser.kind in (0x40, 0x90) and parser.id, hexadecimal(parser.codes))


def flight(events):
    session, out = Session(5, 600), bytearray(60)
    for now, (what, number) in enumerate(events):
        if what == "publish" and session.room:
            packet = session.begin(b"t/x", None, None, number % 2)
            start = put_publish_head(out, packet, number)
            packet.tried = True
            session.written(packet, number, now)
            print("head", hexadecimal(out[start : head_room(packet)]))
        elif what == "puback":
            packet = session.acknowledged(number % 20)
            print("acknowledged", packet and packet.id)
        elif what == "lost":
            session.lost_connection()
        elif what == "again":
            packet = session.unsent()
            if packet:
                session.written(packet, packet.size, now)
                print("again", packet.id)
        print(session.room, session.bytes, session.strays, session.oldest_ms())


with open(sys.argv[1]) as lines:
    for line in lines:
        kind, content = json.loads(line)
        stream(content) if kind == "stream" else flight(content)
"""


def cases(rng):
    for _ in range(400):
        data = bytearray(broker.encode_connack(0, rng.random() < 0.5))
        for _ in range(rng.randint(0, 6)):
            number = rng.randint(1, 65535)
            topic = rng.choice(["t", "quay/ä", "海/🚢", "x" * 200])
            data += rng.choice(
                [
                    broker.encode_puback(number),
                    broker.encode_publish(topic, rng.randbytes(rng.choice([0, 5, 300])), 1, False, True, number),
                    broker.encode_publish(topic, b"?", 0, True),
                    broker.encode_suback(number, [rng.choice([0, 1, 2, 128])] * rng.randint(1, 9)),
                    broker.PINGRESP_PACKET,
                ]
            )
        if rng.random() < 0.6:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        cuts = [0, *sorted(rng.randint(0, len(data)) for _ in range(rng.randint(0, 8))), len(data)]
        yield "stream", [data[start:end].hex() for start, end in zip(cuts, cuts[1:], strict=False)]
    for _ in range(50):
        kinds = ["publish", "publish", "puback", "puback", "lost", "again", "again"]
        yield "flight", [[rng.choice(kinds), rng.randint(0, 400)] for _ in range(60)]


def test_same_results(request, tmp_path):
    try:
        vm = find_vm(request.config.getoption("--vm", default=None))
    except VmMissing as error:
        missing(str(error))
    player, lines = tmp_path / "player.py", tmp_path / "cases"
    player.write_text(PLAYER)
    lines.write_text("".join(json.dumps(case) + "\n" for case in cases(random.Random(3))))
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "micropython.py").write_text("def const(value):\n    return value\n")

    def results(command):
        environment = {
            **os.environ,
            "MICROPYPATH": str(FIRMWARE),
            "PYTHONPATH": os.pathsep.join([str(shim), str(FIRMWARE)]),
        }
        done = subprocess.run(
            [*command, str(player), str(lines)], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout[-500:] + done.stderr
        return done.stdout.splitlines()

    here = results([sys.executable])
    assert here == results(vm)
    for word in ("publish", "refused", "connack", "again", "acknowledged None"):
        assert any(line.startswith(word) for line in here)
