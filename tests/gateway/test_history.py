"""The console's `history`: what the journal still has of a stream, sent or not."""

from decimal import Decimal
from pathlib import Path

HOUSE = Path(__file__).parents[2] / "sim/sites/house.toml"


def everything(cab, stream, span):
    """All samples, page by page."""
    rows, after = [], ""
    while True:
        answer = cab.request("history", of=stream, value=f"{span} {after}".strip())
        assert len(answer["samples"]) <= 50
        rows += answer["samples"]
        after = answer["after"]
        if not after:
            return rows


def test_history_is_what_arrived_and_what_still_waits(cabinet, demo_site):
    cab = cabinet(demo_site, seed=9)
    cab.run("6m")
    cab.stop_broker()
    cab.run("3m")
    rows = everything(cab, "water/volume", "1h")
    arrived = {(s.epoch, s.seq): s for s in cab.broker.stream("water/volume").samples}
    confirmed = [row for row in rows if row[5]]
    assert len(arrived) - 1 <= len(confirmed) <= len(arrived)  # the last PUBACK may not have come
    for seconds, value, quality, epoch, seq, _ in confirmed:
        sample = arrived[epoch, seq]
        assert (seconds, Decimal(value), quality) == (sample.time, Decimal(str(sample.value)), "good")
    waiting = [row for row in rows if not row[5]]
    assert len(waiting) >= 30 and waiting[0][4] > confirmed[-1][4]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows) and len(rows) > 100
    first, last = rows[20][0], rows[40][0]
    assert everything(cab, "water/volume", f"{first} {last}") == rows[20:41]


def test_people_read_it_too_and_bad_questions_are_answered(cabinet, demo_site):
    cab = cabinet(demo_site, seed=9)
    cab.run("2m")
    said = cab.type("history water/volume 1m", wait=5)
    assert "good" in said and said.count("\n") >= 11
    for words in ("", "abc", "1h 2", "5x", "1 2 3 4", "1 2 3", "h"):
        assert "FROM TO in Unix seconds" in cab.type(f"history water/volume {words}", wait=5), words
    assert "no such stream" in cab.type("history water/nothing 1h", wait=5)
    assert "no such request" in cab.type("history", wait=5)
    assert "nothing" in cab.type("history water/volume 1 2", wait=5)
    assert cab.request("history", of="water/volume", value="999999d")["samples"]


def test_private_streams_have_no_history_here(cabinet):
    cab = cabinet(HOUSE, seed=9)
    cab.run("16m")
    private = [row for row in cab.compiled.body["streams"] if row[7]]
    assert private
    names = [row[0] for row in cab.ledger()["streams"] if len(row[0].split("/")[0]) == 16]
    for name in [row[1] for row in private] + names:
        answer = cab.request("history", of=name, value="1h")
        assert "samples" not in answer and answer["result"], name
