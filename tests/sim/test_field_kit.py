"""The whole way of a technician, with nothing left out: a blank board, `satama flash`, its green line, its data at a real broker, a changed
site by `satama deploy`."""

import json
import math
import subprocess
import sys
import threading

import paho.mqtt.client as mqtt
import pytest

from satama.collecting.collector import Collector
from satama.compiling.ids import ids_path
from satama_sim.chip.stock import stock_image
from satama_sim.desk import Desk
from satama_sim.pytest_plugin import missing
from satama_sim.vm.path import VmMissing
from satama_sim.vm.umqtt import UmqttMissing

BOARDS = {"esp32-devkit": "esp32", "esp32-s3-devkit": "esp32s3", "esp32-c3-devkit": "esp32c3"}
SITE = """
[site]
name = "kalasatama"
gateway = "quay-7"
board = "{board}"

[network]
kind = "wifi"
ssid = "kalasatama-iot"
password = "fish-harbour"
ntp = ["ntp.kalasatama.example"]

[mqtt]
host = "broker.kalasatama.example"
insecure = true
batch_age_s = 2

[[bus]]
id = "rs485"
kind = "modbus-rtu"
port = "rs485"
baud = 9600

[[device]]
id = "meter"
profile = "eastron-sdm120"
bus = "rs485"
unit = 1
period_s = {period_s}
"""


class Behind:
    """Who stands at the broker."""

    def __init__(self, port):
        self.collector = Collector("district/v1/kalasatama/quay-7", True)
        self._lock = threading.Lock()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("district/v1/#", 1)
        self._client.loop_start()

    def _take(self, client, userdata, message):
        with self._lock:
            self.collector.feed(message.topic, message.payload)

    def decoded(self):
        with self._lock:
            return self.collector.decoded

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def behind(mosquitto):
    one = Behind(mosquitto.port)
    yield one
    one.close()


def command(desk, *words, limit_s=900, hurry_after=math.inf):
    """`satama WORDS` in a process of its own while the board lives: exit code, standard output.

    `hurry_after`: so many starts of the board, and its clock runs some ten times as fast as the wall's: a trial of a minute is over soon.
    """
    process = subprocess.Popen([sys.executable, "-m", "satama", *words], stdout=subprocess.PIPE, text=True)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    end_us = desk.powered.clock.now_us() + limit_s * 1_000_000
    try:
        while process.poll() is None and desk.powered.clock.now_us() < end_us:
            if len(desk.powered.board.resets) > hurry_after:
                desk.hurry(1)
            desk.run(0.05)
    finally:
        process.kill()
        process.wait()
        reader.join()
    return process.returncode, [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.real_time
@pytest.mark.parametrize("board", BOARDS)
def test_from_a_blank_board_to_data_at_the_broker_and_a_deploy(board, tmp_path, mosquitto, behind, request):
    site = tmp_path / "cabinet.toml"
    site.write_text(SITE.format(board=board, period_s=2))
    firmware = tmp_path / "stock.bin"
    firmware.write_bytes(stock_image(BOARDS[board]))
    port = {"esp32-devkit": "pty", "esp32-s3-devkit": "rfc2217", "esp32-c3-devkit": "socket"}[board]
    try:
        desk = Desk(site, port=port, broker=f"127.0.0.1:{mosquitto.port}", vm=request.config.getoption("--vm"))
    except (VmMissing, UmqttMissing) as error:
        missing(str(error))
        raise
    with desk:
        desk.run(0.5)
        assert not desk.powered.board.powered, "it is blank"
        words = ("--port", desk.url, "--site", str(site), "--firmware", str(firmware), "--json")
        code, told = command(desk, "flash", *words)
        assert (code, told[-1]["ok"], told[-1].get("passed")) == (0, True, True), (
            told[-3:],
            desk.console_text[-3000:],
            desk.powered.board.resets,
            desk.chip.mode,
        )
        arrived = behind.decoded()
        while behind.decoded() < arrived + 10:
            desk.run(0.1)
        status = {stream.name for stream in behind.collector.streams.values() if stream.count}
        assert {"meter/voltage", "meter/energy_import"} <= status
        starts = len(desk.powered.board.resets)

        code, told = command(desk, "deploy", str(site), "--port", desk.url, "--json")
        assert (code, told[-1]["unchanged"], len(desk.powered.board.resets)) == (0, True, starts)
        if port != "pty":
            return  # the rest is the same
        site.write_text(SITE.format(board=board, period_s=1))
        code, told = command(desk, "deploy", str(site), "--port", desk.url, "--json", hurry_after=starts)
        assert code == 0 and told[-1]["slot"] == "b" and told[-1]["sent"] < 9000, told[-1]
        assert len(desk.powered.board.resets) == starts + 1
        code, told = command(desk, "selftest", "--port", desk.url, "--site", str(site), "--json")
        assert code == 0 and told[-1]["ok"], told[-1]
        assert ids_path(site).exists()
