"""Pulses through the whole gateway, with the journal flushing: exact, or doubted aloud; and no total ever goes back."""

from bisect import bisect_right

import pytest

SITE = """\
[site]
name = "yard"
gateway = "gw-1"
board = "BOARD"
[network]
kind = "wifi"
ssid = "yard"
password = "fish-harbour"
ntp = ["ntp.yard.example"]
[mqtt]
host = "broker.yard.example"
insecure = true
batch_age_s = 5
[[bus]]
id = "line"
kind = "modbus-rtu"
port = "rs485"
baud = 115200
[[device]]
id = "meter"
profile = "eastron-sdm120"
bus = "line"
unit = 1
period_s = 1
[[device]]
id = "one"
profile = "./pulser.toml"
pin = "P1"
period_s = 2
[[device]]
id = "two"
profile = "./pulser.toml"
pin = "P2"
period_s = 2
"""
PULSER = """\
name = "pulser"
vendor = "nobody"
model = "P1"
kind = "electricity_meter"
interface = "pulse"
sources = ["invented for the tests"]
[pulse]
edge = "falling"
debounce_ms = 0
max_hz = MAX_HZ
[[point]]
name = "energy"
quantity = "active_energy_import"
unit = "Wh"
per_pulse = 1
exponent = 0
source = "invented"
"""
GPIOS = {"esp32-devkit": (32, 33), "esp32-s3-devkit": (11, 12), "esp32-c3-devkit": (4, 5)}
JOURNAL_BYTES = 16 * 4096


class Train:
    """Pulses at these microseconds."""

    def __init__(self, times_us):
        self.times = list(times_us)

    def pulse_times(self, from_us, to_us):
        return self.times[bisect_right(self.times, from_us) : bisect_right(self.times, to_us)]


@pytest.fixture
def yard(cabinet, tmp_path):
    """A function that starts a cabinet with two pulse inputs: yard(board, max_hz, one, two) with the times of their pulses."""

    def start(board, max_hz, one, two, change=lambda text: text):
        (tmp_path / "pulser.toml").write_text(PULSER.replace("MAX_HZ", str(max_hz)))
        site = tmp_path / "yard.toml"
        site.write_text(change(SITE.replace("BOARD", board)))
        cab = cabinet(site, seed=5, journal_bytes=JOURNAL_BYTES)
        for gpio, times_us in zip(GPIOS[board], (one, two), strict=True):
            cab.board.pins.pulses[gpio] = Train(times_us)
        return cab

    return start


def journal_erases(cab):
    part = cab.compiled.board.partitions["journal"]
    first = part.offset // 4096
    return sum(cab.flash.erases[first : first + JOURNAL_BYTES // 4096])


def samples(cab, device):
    return cab.broker.stream(f"{device}/energy").samples


@pytest.mark.parametrize("board", ["esp32-devkit", "esp32-s3-devkit"])
def test_1_khz_is_exact_on_a_hardware_counter(yard, board):
    fast = range(10_000_000, 130_000_000, 1000)
    cab = yard(board, 1000, fast, [at + 7 for at in fast[::3]])
    cab.run("150s")
    assert journal_erases(cab) >= 3
    for device, count in (("one", len(fast)), ("two", len(fast[::3]))):
        assert samples(cab, device)[-1].value == count
        assert {sample.reason for sample in samples(cab, device)} == {""}


def test_s0_pulses_are_exact_by_interrupt(yard):
    """Of 30 ms, 60 ms apart; the board erases a block in 45 ms, and that is less than the bound."""
    one = range(10_000_000, 250_000_000, 60_000)
    two = range(10_013_000, 250_000_000, 61_000)
    cab = yard("esp32-c3-devkit", 16, one, two)
    cab.run("260s")
    assert journal_erases(cab) >= 5
    assert cab.board.pins.merged_interrupts == cab.board.pins.lost_interrupts == 0
    for device, times in (("one", one), ("two", two)):
        assert samples(cab, device)[-1].value == len(times)
        assert {sample.reason for sample in samples(cab, device)} == {""}


def test_every_loss_by_interrupt_is_said_with_the_next_value(yard):
    cab = yard("esp32-c3-devkit", 100, range(10_000_000, 390_000_000, 10_000), [])
    losses = []  # seconds since the start with a loss
    known = 0
    for second in range(400):
        cab.run(1)
        now = cab.board.pins.merged_interrupts + cab.board.pins.lost_interrupts
        if now > known:
            losses.append(second)
        known = now
    assert 3 < len(losses) < 100
    got = samples(cab, "one")
    assert got[-1].value == 38_000 - known
    doubted = [sample.time - cab.start_unix_s for sample in got if sample.reason == "pulses_lost"]
    assert all(any(second <= at <= second + 3 for at in doubted) for second in losses)
    assert all(any(at - 3 <= second <= at for second in losses) for at in doubted)
    assert {sample.reason for sample in samples(cab, "two")} == {""}  # no pulse came, so none was lost


@pytest.mark.parametrize("board", ["esp32-devkit", "esp32-c3-devkit"])
def test_power_cuts_and_resets_take_no_more_than_the_quantum_and_nothing_back(yard, board):
    times = range(10_000_000, 1_000_000_000, 100_000)
    cab = yard(board, 10, times, times)
    last = {"one": 0, "two": 0}
    cab.run("40s")
    for cut in range(5):
        cab.run("11m" if cut == 3 else "27.3s")  # five short lives in a row would end in safe mode
        for device in last:
            last[device] = samples(cab, device)[-1].value
        cab.cut_power()
        cab.run("3.3s")
        cab.restore_power()
        cab.run("20s")
        for device in last:
            assert samples(cab, device)[-1].value >= last[device] > 0
    assert len(cab.board.resets) == 6
    for device in last:
        got = samples(cab, device)
        values = [sample.value for sample in sorted(got, key=lambda sample: (sample.epoch, sample.seq))]
        assert values == sorted(values)
        passed = bisect_right(times, cab.timeline.now_us)
        assert passed - 5 * (20 + 33 + 15) <= values[-1] <= passed  # 2 s of quantum, 3.3 s off, 1.5 s to start
        doubted = [sample.epoch for sample in got if sample.reason == "pulses_lost"]
        assert doubted == sorted(set(doubted)) and len(doubted) == 5  # once after every start but the first


def test_a_reset_takes_a_second(yard):
    times = range(10_000_000, 100_000_000, 100_000)
    cab = yard("esp32-devkit", 10, times, [], lambda text: text.replace("period_s = 2", "period_s = 20"))
    cab.run("55.5s")
    cab.board.reset(2, "for the test")
    cab.run("60s")
    passed = len(times)
    assert passed - (10 + 15) <= samples(cab, "one")[-1].value <= passed


def test_a_private_total_moves_and_is_written_at_its_interval_alone(yard):
    times = range(10_000_000, 900_000_000, 500_000)
    private = 'pin = "P1"\npersist_s = 300'
    cab = yard("esp32-devkit", 10, times, [], lambda text: text.replace('pin = "P1"', private))
    cab.run("901s")
    values = [sample.value for sample in samples(cab, "one")]
    assert len(set(values)) == 3 and values[0] == 0  # after 300 and after 600 s; the next comes later
    assert values == sorted(values)
