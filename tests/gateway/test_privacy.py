"""What a household does at home stays there: not by what is looked at, but by what changes when it does something else.

Two houses that differ in nothing but what two flats do within their quarters of an hour must be one and the same to everybody outside:
every byte to the broker, every byte on the console, every byte on flash.
"""

import hashlib
import json
from pathlib import Path

import pytest

from gateway.journal.blocks import BLOCK, Blocks
from gateway.journal.flash import Flash

SITES = Path(__file__).parents[2] / "sim" / "sites"
QUARTER_S = 900
WINDOWS = 3
ASKED = ("status", "points", "ledger", "buses")


def curves(secret):
    """{flat: [(W, kWh) every 10 s]}: the sum of all flats and every reading at a quarter are the same for any secret."""
    steps = QUARTER_S // 10 * (WINDOWS + 1)
    found = {}
    for flat in range(1, 7):
        # Two flats have changed places: what one draws in one house, the other draws in the other.
        draws = {1: secret, 2: 1 - secret}.get(flat, flat)
        rows = []
        for step in range(steps):
            window, within = divmod(step, QUARTER_S // 10)
            watts = 2000 + (3000 if (step * (7 + draws) // 5 + draws) % 3 == 0 else 0) + 10 * draws
            done = within / 90 if draws % 2 else (within / 90) ** 2
            hundredths = 100_000 * flat + 37 * window + (37 if within >= 80 else int(36 * done))
            rows.append((watts, hundredths))
        found[flat] = rows
    return found


def show(cab, rows, step):
    for flat, row in rows.items():
        watts, hundredths = row[min(step, len(row) - 1)]
        cab.world.set(f"flat-{flat}", "active_power", watts)
        cab.world.set(f"flat-{flat}", "energy_import", f"{hundredths // 100}.{hundredths % 100:02}")


def live(cabinet, site, secret, until_s=QUARTER_S * WINDOWS + 60):
    """A cabinet that has run, and all that came out of it: (topic, payload) of every message, console, flash."""
    cab = cabinet(site, seed=7)
    messages = []
    taken = cab.broker.feed

    def feed(topic, payload):
        messages.append((topic, bytes(payload)))
        return taken(topic, payload)

    cab.broker.feed = feed
    rows = curves(secret)
    # The world begins at a full quarter; readings are taken behind their slot.
    for step in range(until_s // 10):
        show(cab, rows, step)
        cab.run(10)
        if step % 9 == 4:
            for name in ASKED:
                cab.request(name)
            cab.request("trace", of="rs485")
    return cab, messages, cab.console_text(), bytes(cab.flash.data)


@pytest.fixture(scope="module")
def open_site(tmp_path_factory):
    """The same house without any privacy."""
    lines = (SITES / "house.toml").read_text().splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith("[privacy.billing]"))
    end = next(i for i, line in enumerate(lines) if line.startswith("[[bus]]"))
    lines = [line for line in (*lines[:start], *lines[end:]) if not line.startswith("privacy =")]
    site = tmp_path_factory.mktemp("open") / "house.toml"
    site.write_text("".join(lines))
    return site


def digest(what):
    return hashlib.sha256(repr(what).encode()).hexdigest()


def test_nothing_that_leaves_depends_on_what_a_household_does_within_a_quarter_of_an_hour(cabinet):
    one, other = (live(cabinet, SITES / "house.toml", secret) for secret in (0, 1))
    assert [topic for topic, _ in one[1]] == [topic for topic, _ in other[1]]
    for (topic, first), (_, second) in zip(one[1], other[1], strict=True):
        assert first == second, topic
    assert one[2] == other[2]
    assert digest(one[3]) == digest(other[3])
    assert one[0].ledger()["acknowledged"] > 300


def test_the_test_before_sees_the_difference_where_there_is_no_privacy(cabinet, open_site):
    one, other = (live(cabinet, open_site, secret, until_s=300) for secret in (0, 1))
    assert one[1] != other[1] and one[2] != other[2] and one[3] != other[3]


def test_what_the_district_gets_of_a_flat(cabinet):
    cab, messages, console, flash = live(cabinet, SITES / "house.toml", 0)
    private = [view for view in cab.broker.streams.values() if view.name.endswith("/energy_import")]
    private = [view for view in private if not view.name.startswith("house-meter/")]
    assert len(private) == 6
    rows = curves(0)
    for view in private:
        times = [sample.time for sample in view.samples]
        assert len(times) in (WINDOWS, WINDOWS - 1) and all(time % QUARTER_S == 0 for time in times)
        assert {b - a for a, b in zip(times, times[1:], strict=False)} == {QUARTER_S}
        values = [int(sample.value * 100) for sample in view.samples]
        flat = values[-1] // 100_000
        windows = [(time - cab.start_unix_s) // QUARTER_S - 1 for time in times]
        assert values == [rows[flat][QUARTER_S // 10 * (window + 1) - 1][1] for window in windows]
    assert not any(f"flat-{flat}".encode() in topic.encode() + payload for topic, payload in messages for flat in rows)
    assert not any("active_power" in view.name for view in private)
    points = cab.request("points")["points"]
    assert [row["quality"] for row in points if row["point"].endswith("/active_power")].count("private") == 6
    assert not any(row["point"].startswith("flat-") for row in points)
    frames = cab.request("trace", of="rs485")["frames"]
    assert {bool(frame[-1]) for frame in frames if frame[1] == 1} == {True}
    assert {frame[-1] for frame in frames if frame[1] in range(11, 17)} == {""}
    total = cab.broker.stream("flats/sum")
    assert {sample.reason for sample in total.samples[1:]} == {""}
    assert all(12_000 <= sample.value <= 31_000 for sample in total.samples[1:])


def test_the_sum_is_bad_while_one_flat_is_missing(cabinet):
    cab = cabinet(SITES / "house.toml", seed=7)
    cab.run("5m")
    cab.buses[0].slaves.silence("flat-3")
    cab.run("5m")
    assert cab.broker.stream("flats/sum").last.value is None
    assert cab.broker.stream("flats/sum").last.reason == "incomplete"
    cab.buses[0].slaves.revive("flat-3")
    cab.run("5m")
    assert cab.broker.stream("flats/sum").last.reason in ("", "partial")


def test_the_serial_numbers_of_an_exchange_stay_at_home(cabinet):
    cab = cabinet(SITES / "house.toml", seed=7)
    for flat in range(1, 7):
        cab.world.set(f"flat-{flat}", "energy_import", "1000.00")
    cab.run("31m")
    point = next(
        row["point"]
        for row in cab.request("points")["points"]
        if row["point"].endswith("/energy_import") and len(row["point"]) == 30
    )
    answer = cab.request("exchange", of=point, value="1000.10 2.00 SN-OLD-77 SN-NEW-88")
    assert answer["result"] == "kept"
    assert cab.request("exchange", of="house-meter/energy_import", value="1 2 SN-A SN-B")["result"].startswith(
        "refused"
    )
    cab.run("1m")
    (event,) = [event for event in cab.broker.events if event["event"] == "counter_exchange"]
    assert event["point"] == point and event["old_end"] == "1000.10"
    assert "old_serial" not in event and "SN-" not in json.dumps(cab.broker.events)
    assert b"SN-OLD-77" not in bytes(cab.flash.data)


def names(cab):
    births = [json.loads(kept[0]) for t, kept in cab.simulated_broker.core.retained.items() if "/birth/" in t]
    return sorted(birth["device"] for birth in births)


def test_pseudonyms_stay_over_restarts_and_differ_from_gateway_to_gateway(cabinet):
    cab = cabinet(SITES / "house.toml", seed=7)
    cab.run("1m")
    first = names(cab)
    assert sum(name.startswith("flat-") for name in first) == 0 and len(first) == 10
    assert sum(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in first) == 6
    cab.cut_power()
    cab.restore_power()
    cab.run("1m")
    assert names(cab) == first
    other = cabinet(SITES / "house.toml", seed=8)
    other.run("1m")
    assert not {name for name in first if len(name) == 16} & set(names(other))


class Partition:
    """The journal of a cabinet's flash, to be read."""

    def __init__(self, cab):
        self._flash = cab.flash
        self._start = next(part for name, part in cab.compiled.board.partitions.items() if name == "journal").offset

    def readblocks(self, block, buf, offset=0):
        buf[:] = self._flash.read(self._start + block * BLOCK + offset, len(buf))


@pytest.mark.long
def test_flash_is_wiped_of_a_household_when_its_time_is_over(cabinet, tmp_path):
    site = tmp_path / "house.toml"
    site.write_text((SITES / "house.toml").read_text().replace("retention_h = 720", "retention_h = 1"))
    cab = cabinet(site, seed=7, journal_bytes=12 * BLOCK)
    cab.run("12h")  # the ring of the journal has turned once, and a block with what was private is full for two hours
    blocks = Blocks(Flash(Partition(cab)))
    rounds = [
        [content for _, _, content in blocks.scan(block) if hasattr(content, "schema") and content.synced]
        for block in range(10)
    ]
    now = cab.start_unix_s - 946_684_800 + cab.now_s
    assert min(r.seconds for block in rounds for r in block if not r.schema.private) < now - 8 * 3600
    private = [block for block in rounds if any(r.schema.private for r in block)]
    kept_in = {r.schema.cls for block in private for r in block if r.schema.private}
    of_age = [
        block
        for block in rounds
        if block and block[0].schema.cls in kept_in and max(r.seconds for r in block) < now - 3600 - 20 * 60
    ]
    assert private and of_age
    assert not any(block in private for block in of_age)  # a block goes as a whole, when the youngest in it is of age
