"""WLAN and LAN: the states that the firmware sees, and what the world does to them."""

from lab import PASSWORD, SSID, WIFI_UP

from satama_sim.network.net import TimeServer

WATCH = """
import network, time
wlan = network.WLAN(network.STA_IF)
print("idle", wlan.status(), wlan.isconnected(), wlan.active(), wlan.ifconfig()[0])
wlan.active(True)
{settings}
wlan.connect("{ssid}", "{password}")
last = None
while True:
    status = wlan.status()
    if status != last:
        print("status", status, wlan.isconnected(), wlan.ifconfig()[0])
        last = status
    time.sleep_ms(50)
"""


def watch(ssid=SSID, password=PASSWORD, settings=""):
    return WATCH.format(ssid=ssid, password=password, settings=settings)


def test_a_station_connects_and_gets_an_address(lab):
    board = lab(watch())
    board.run(5)
    assert board.said("idle") == ["1000 False False 0.0.0.0"]
    assert board.said("status") == ["1001 False 0.0.0.0", "1010 True 10.77.0.10"]


def test_a_wrong_password_and_a_missing_access_point_say_so(lab):
    board = lab(watch(password="carp"))
    board.run(20)
    assert board.said("status") == ["1001 False 0.0.0.0", "202 False 0.0.0.0"]
    board = lab(watch(ssid="nowhere"))
    board.run(20)
    assert board.said("status") == ["1001 False 0.0.0.0", "201 False 0.0.0.0"]


def test_the_driver_reconnects_by_itself_when_the_air_is_back(lab):
    board = lab(watch())
    board.run(5)
    board.radio.set_air(False)
    board.run(1)
    board.radio.set_air(True)  # nobody noticed
    board.run(5)
    assert board.said("status")[-1] == "1010 True 10.77.0.10"
    board.radio.set_air(False)
    board.run(20)
    assert [row.split()[0] for row in board.said("status")] == ["1001", "1010", "1001", "201"]
    board.radio.set_air(True)
    board.run(5)
    assert board.said("status")[-1] == "1010 True 10.77.0.10"


def test_an_access_point_that_is_off_at_first_is_found_later(lab):
    board = lab(watch())
    board.radio.set_air(False)
    board.run(60)
    assert board.said("status")[-1].startswith("201 ")
    board.radio.set_air(True)
    board.run(4)
    assert board.said("status")[-1].startswith("1010 ")
    board.radio.set_air(False)
    board.run(3)
    assert board.said("status")[-1].startswith("1001 ")  # success has wiped out the old error


def test_reconnects_can_be_switched_off(lab):
    board = lab(watch(settings="wlan.config(reconnects=0)\nprint('reconnects', wlan.config('reconnects'))"))
    board.run(5)
    assert board.said("reconnects") == ["0"]
    board.radio.set_air(False)
    board.run(10)
    assert board.said("status")[-1].startswith("200 ")
    board.radio.set_air(True)
    board.run(30)
    assert board.said("status")[-1].startswith("200 ")


def test_connect_is_refused_while_the_driver_is_busy_with_one(lab):
    board = lab(
        """
import network, time
wlan = network.WLAN(network.STA_IF)
def attempt():
    try:
        wlan.connect("quay", "herring")
        print("connect", "ok")
    except OSError as error:
        print("connect", error)
attempt()
wlan.active(True)
attempt()
attempt()
time.sleep(4)
print("connected", wlan.isconnected())
attempt()
wlan.disconnect()
print("left", wlan.isconnected(), wlan.status())
attempt()
time.sleep(4)
print("connected", wlan.isconnected(), wlan.status())
wlan.active(False)
print("off", wlan.active(), wlan.isconnected())
"""
    )
    board.run(15)
    assert board.said("connect") == ["Wifi Not Started", "ok", "Wifi Internal Error", "Wifi Internal Error", "ok"]
    assert board.said("connected") == ["True", "True 1010"]
    assert board.said("left") == ["False 1000"]
    assert board.said("off") == ["False False"]


def test_busy_waiting_for_the_network_ends(lab):
    board = lab(
        """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("quay", "herring")
time.sleep_ms(1700)
while not wlan.isconnected():
    pass
print("up", wlan.status("rssi"))
"""
    )
    board.radio.rssi = -77
    board.run(5)
    assert board.said("up") == ["-77"]


def test_scan_lists_what_is_on_the_air(lab):
    board = lab(
        """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
start = time.ticks_ms()
found = wlan.scan()
print("found", *[(entry[0], entry[3]) for entry in found])
print("took", time.ticks_diff(time.ticks_ms(), start))
print("length", len(found[0]))
"""
    )
    board.radio.access_points["bridge"] = "x"
    board.run(5)
    assert board.said("found") == ["(b'bridge', -61) (b'quay', -61)"]
    assert 1900 <= int(board.said("took")[0]) <= 2100
    assert board.said("length") == ["6"]


def test_identity_and_settings(lab):
    board = lab(
        """
import machine, network
wlan = network.WLAN(network.STA_IF)
print("mac", wlan.config("mac") == machine.unique_id())
wlan.config(pm=wlan.PM_NONE, txpower=15)
try:
    wlan.config(colour="red")
except ValueError as error:
    print("unknown", error)
wlan.active(True)
try:
    wlan.status("rssi")
except OSError as error:
    print("rssi", error)
"""
    )
    board.run(2)
    assert board.said("mac") == ["True"]
    assert board.said("unknown") == ["unknown config param"]
    assert board.said("rssi") == ["Wifi Not Connected"]


def test_a_reset_forgets_the_connection_and_a_soft_reset_does_not(lab):
    board = lab(
        """
import machine, network, time
wlan = network.WLAN(network.STA_IF)
print("start", machine.reset_cause(), wlan.active(), wlan.isconnected())
cause = machine.reset_cause()
if cause == machine.HARD_RESET:
    time.sleep(60)
if not wlan.isconnected():
    wlan.active(True)
    wlan.connect("quay", "herring")
    time.sleep(3)
if cause == machine.PWRON_RESET:
    machine.soft_reset()
machine.reset()
"""
    )
    board.run(10)
    assert board.said("start") == ["1 False False", "5 True True", "2 False False"]


def test_ethernet(lab):
    board = lab(
        """
import network, time
lan = network.LAN(0, mdc=23, mdio=18, phy_type=network.PHY_LAN8720, phy_addr=1)
last = None
print("inactive", lan.status(), lan.active())
lan.active(True)
while True:
    status = lan.status()
    if status != last:
        print("status", status, lan.isconnected(), lan.ifconfig()[0])
        last = status
    time.sleep_ms(20)
"""
    )
    board.run(3)
    assert board.said("inactive") == ["0 False"]
    assert board.said("status") == ["1 False 0.0.0.0", "3 False 0.0.0.0", "5 True 10.77.0.10"]
    board.radio.set_cable(False)
    board.run(3)
    assert board.said("status")[-1] == "4 False 0.0.0.0"
    board.radio.set_cable(True)
    board.run(3)
    assert board.said("status")[-2:] == ["3 False 0.0.0.0", "5 True 10.77.0.10"]


def test_ethernet_without_a_plug_stays_started(lab):
    board = lab(
        "import network, time\nlan = network.LAN(0, phy_type=network.PHY_LAN8720, phy_addr=1, mdc=23, mdio=18)\nlan.active(True)\ntime.sleep(5)\nprint('status', lan.status())\n"
    )
    board.radio.cable = False
    board.run(7)
    assert board.said("status") == ["1"]


def test_ntp_and_names_through_the_network(lab):
    board = lab(
        WIFI_UP
        + """
import socket, struct
address = socket.getaddrinfo("time.example", 123)[0][-1]
print("resolved", address)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
sock.sendto(b"\\x1b" + bytes(47), address)
answer, sender = sock.recvfrom(48)
print("unix", struct.unpack("!I", answer[40:44])[0] - 2208988800, sender == address)
"""
    )
    server = TimeServer(board.timeline, 1_796_119_200)
    board.serve_udp("time.example", 123, server)
    board.run(5)
    assert board.said("resolved") == ["('10.77.1.1', 123)"]
    unix, sender = board.said("unix")[0].split()
    assert sender == "True"
    assert 1 <= int(unix) - 1_796_119_200 <= 4
