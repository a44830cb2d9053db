"""The client on each umqtt.simple that a board may have frozen: the registry's 1.3.4, and doubles of 1.4.0 and 1.8.0."""

from pathlib import Path

import pytest
from client_program import firmware, run_to_end

from satama_sim.vm import umqtt

DOUBLES = Path(__file__).with_name("umqtt_doubles")
VERSIONS = ["1.3.4", "1.4.0", "1.8.0"]

PROGRAM = """
async def main():
    spec["user"], spec["password"] = USER
    spec["keepalive_s"] = 300
    one = client()
    present = [await connect(one)]
    for number in range(20):
        await numbered(one, number)
    await one.publish(b"t/state", lambda: (b"there",), lambda: None, True)
    await one.settle()
    one.shut()
    present.append(await connect(one))
    await numbered(one, 20, 5000)
    await one.settle()
    ended(*present, acknowledged == list(range(21)))
asyncio.run(main())
"""


@pytest.fixture(params=VERSIONS)
def version(request, monkeypatch):
    if request.param != umqtt.VERSION:
        place = DOUBLES / f"v{request.param.replace('.', '_')}"
        monkeypatch.setattr(umqtt, "ensure", lambda: place)
    return request.param


@pytest.mark.parametrize("user", [("", ""), ("quay", "herring"), ("quay", "")])
def test_it_connects_publishes_and_connects_again(version, user, cabinet, demo_site, tmp_path):
    program = PROGRAM.replace("USER", repr(user))
    cab = cabinet(demo_site, firmware=firmware(tmp_path, program))
    core = cab.simulated_broker.core
    seen, hellos = [], []
    core.on_publish = lambda message: seen.append((message.topic, message.payload, message.qos, message.retain))
    core.authenticate = lambda *who: hellos.append(who) or True
    assert run_to_end(cab, "60s") == ["False", "True", "True"]
    numbers = [int.from_bytes(payload[:4], "big") for topic, payload, _, _ in seen if topic == "t/data"]
    assert numbers == list(range(21))
    assert ("t/state", b"there", 1, True) in seen
    assert ("t/state", b"gone", 1, True) in seen  # the Will of the first connection, which was closed without a word
    assert len(seen[-1][1]) == 5000
    expected = (user[0], user[1].encode()) if user[0] else (None, None)
    assert hellos == [expected, expected]
