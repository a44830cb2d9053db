"""A handshake that never comes to certificates: servers without TLS, servers that say nothing, and sites without a CA."""

import base64
import errno

import pytest
from client_program import firmware, run_to_end

# Of an authority whose key nobody has: it only has to be readable
AUTHORITY = base64.b64decode(
    "MIIBODCB36ADAgECAhQkO8QLnFIstfwSYVWWqsJuzxS63jAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdUZXN0IENBMB4XDTI2MTEyMzE5MTQ1OV"
    "oXDTI2MTIyMzE5MTQ1OVowEjEQMA4GA1UEAwwHVGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABK8a6NrtNqR1OZz0bTjZrq/vOKYv"
    "VE4RtTb21M9zX++GKAu/4+Andsk/DKSc7JeNjS+uVoKWCtorqnt38pCFpaKjEzARMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQ"
    "IhALIE9fbpuQE9kjlvRWd5v7JReEYpKZKw83L6XryHyMYVAiBINu5iKaP84i+7QtJV21dXCq9l4iXd548V0UBbrAoMpg=="
)

PROGRAM = """
with open("/ca.der", "wb") as file:
    file.write(AUTHORITY)
with open("/bad.der", "wb") as file:
    file.write(AUTHORITY[:100])
spec["tls"] = 1
spec["ca"] = CA

async def main():
    one = client()
    if SYNCED:
        clock.set_utc(clock.floor + 900000000, 0, "ntp", 10)
    worst = 0
    async def others():
        nonlocal worst
        before = time.ticks_ms()
        while True:
            await asyncio.sleep_ms(10)
            now = time.ticks_ms()
            worst = max(worst, time.ticks_diff(now, before))
            before = now
    first = await down(connect(one))
    asyncio.create_task(others())
    begun = time.ticks_ms()
    second = await down(connect(one))
    took = time.ticks_diff(time.ticks_ms(), begun)
    ended(took // 1000, worst < 100, first == second, first)
asyncio.run(main())
"""


class Far:
    """A server that answers the first bytes with these (None: it closes, an error number: it resets), or not at all."""

    def __init__(self, peer, answer):
        self.peer, self.answer, self.got = peer, answer, b""

    def received(self, data):
        self.got += data
        if isinstance(self.answer, bytes) and self.answer:
            self.peer.reply(self.answer)
        elif self.answer != b"":
            self.peer.hang_up(self.answer or 0)

    def closed(self, clean):
        pass


@pytest.fixture
def attempt(cabinet, demo_site, tmp_path):
    def run(answer=b"", ca='["/ca.der"]', synced=True):
        program = PROGRAM.replace("AUTHORITY[", repr(AUTHORITY) + "[").replace("(AUTHORITY)", f"({AUTHORITY!r})")
        program = program.replace("SYNCED", str(synced)).replace("= CA", f"= {ca}")
        cab = cabinet(demo_site, firmware=firmware(tmp_path, program))
        (place,) = cab.network.tcp
        far = []

        def accept(peer):
            far.append(Far(peer, answer))
            return far[-1]

        cab.network.tcp[place] = accept
        seconds, free, alike, *reason = run_to_end(cab, "3m")
        assert (free, alike) == ("True", "True")
        return " ".join(reason), int(seconds), far

    return run


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", None, errno.ECONNRESET]
)
def test_a_server_without_tls(attempt, answer):
    reason, _, far = attempt(answer)
    assert reason == "no TLS"
    assert all(one.got[:2] == b"\x16\x03" for one in far), "nothing but a TLS hello has gone out"


def test_a_fatal_alert_in_answer_to_the_hello(attempt):
    assert attempt(b"\x15\x03\x03\x00\x02\x02\x28")[0] == "TLS refused"


def test_a_server_that_says_nothing(attempt):
    reason, seconds, _ = attempt()
    assert reason == "handshake timed out" and 15 <= seconds <= 25


def test_without_a_clock_nothing_is_sent(attempt):
    reason, _, far = attempt(synced=False)
    assert reason == "clock not set" and far == []


@pytest.mark.parametrize(
    ("ca", "reason"),
    [
        ("[]", "no CA in the site file"),
        ('["/ca.der", "/none.der"]', "/none.der is missing"),
        ('["/bad.der"]', "/bad.der: invalid cert"),
    ],
)
def test_without_a_usable_authority_nothing_is_sent(attempt, ca, reason):
    said, _, far = attempt(ca=ca)
    assert said == reason and far == []
