"""The client over TLS: whom it believes, and that nothing is lost in records that come whole, in pieces or many at once."""

import pytest
from client_program import firmware, run_to_end
from tls_far_end import Authority, TlsFarEnd

HOST = "broker.kalasatama.example"  # of the demo site

PROGRAM = """
def put(name, data):
    with open(name, "wb") as file:
        file.write(data)
    return name

spec["tls"] = 1
spec["ca"] = [put("/ca%d.der" % at, data) for at, data in enumerate(AUTHORITIES)]
if CLIENT:
    spec["cert"], spec["key"] = put("/client.der", CLIENT[0]), put("/key.der", CLIENT[1])

async def main():
    clock.set_utc(clock.floor + 900000000, 0, "ntp", 10)
    one = client()
    ticks = []
    async def others():
        while True:
            await asyncio.sleep_ms(10)
            ticks.append(time.ticks_ms())
    asyncio.create_task(others())
    reason = "still up"
    for turn in range(2):
        if reason == "still up":
            reason = await down(connect(one))
            first = turn * 20
            for number in range(first, first + 20):
                if reason == "still up":
                    reason = await down(numbered(one, number, 2500 if number % 2 else 20))
            if reason == "still up":
                reason = await down(one.settle())
    held = max([time.ticks_diff(later, before) for before, later in zip(ticks, ticks[1:])])
    ended(sorted(acknowledged) == list(range(40)), one.stray_pubacks, one.take_stalls()["handshake"], held, reason)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "harbour")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "foreign")


@pytest.fixture
def attempt(cabinet, demo_site, tmp_path):
    """attempt(authorities, certificate, client=DER pair, **TlsFarEnd options): reason, (all there, strays, stall), longest hold, numbers, server."""

    def run(authorities, certificate, client=(), **options):
        values = {"AUTHORITIES": [one.der for one in authorities], "CLIENT": client}
        program = PROGRAM
        for name, value in values.items():
            program = program.replace(name, repr(value))
        cab = cabinet(demo_site, firmware=firmware(tmp_path, program))
        (place,) = cab.network.tcp
        server = TlsFarEnd(cab.simulated_broker.accept, certificate, **options)
        cab.network.tcp[place] = server
        numbers = []
        cab.simulated_broker.core.on_publish = lambda message: (
            message.topic == "t/data"
            and numbers.append((int.from_bytes(message.payload[:4], "big"), len(message.payload)))
        )
        words = run_to_end(cab, "3m")
        return " ".join(words[4:]), words[:3], int(words[3]), numbers, server

    return run


@pytest.mark.parametrize("most_bytes", [1 << 20, 1, 1460])
def test_everything_arrives_once_over_tls(attempt, authority, foreign, most_bytes):
    """And the old authority stands beside the new one, as in a rotation."""
    reason, words, held, numbers, server = attempt([foreign, authority], authority.issue(HOST), most_bytes=most_bytes)
    assert reason == "still up" and words[:2] == ["True", "0"] and server.failures == []
    assert numbers == [(number, 2500 if number % 2 else 20) for number in range(40)]
    assert 2000 <= int(words[2]) <= held < 2400, "the longest stall is the handshake's computing, and it is told"


def test_a_server_of_another_authority(attempt, authority, foreign):
    reason, _, _, numbers, server = attempt([foreign], authority.issue(HOST))
    assert reason == "wrong CA" and numbers == [] and server.failures


def test_a_server_of_another_name(attempt, authority):
    reason, _, _, numbers, _ = attempt([authority], authority.issue("pier.example"))
    assert reason == "wrong host name" and numbers == []


def test_a_server_that_wants_a_client_certificate(attempt, authority, foreign):
    certificate = authority.issue(HOST)
    assert attempt([authority], certificate, authority.issue_der("quay-9"), clients=authority)[0] == "still up"


@pytest.mark.parametrize("wrong", [False, True])
def test_a_client_certificate_that_is_missing_or_of_another_authority(attempt, authority, foreign, wrong):
    client = foreign.issue_der("quay-9") if wrong else ()
    reason, _, _, numbers, _ = attempt([authority], authority.issue(HOST), client, clients=authority)
    assert reason == "client certificate refused" and numbers == []
