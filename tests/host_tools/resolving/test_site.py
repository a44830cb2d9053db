"""A site file with a mistake is refused: file, line, what is wrong, what would be right. All mistakes at once."""

import string
import tomllib
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satama.core.problems import Problems, closest, dotted
from satama.core.toml_lines import key_lines
from satama.resolving.resolve import resolve_site

SITE = """\
# a cabinet for tests
[site]
name = "kalasatama"
gateway = "demo-01"
board = "esp32-devkit"

[network]
kind = "wifi"
ssid = "kalasatama-iot"
password = "fish-harbour"

[mqtt]
host = "broker.kalasatama.example"
insecure = true

[[bus]]
id = "rs485"
kind = "modbus-rtu"
port = "rs485"
baud = 9600

[[device]]
id = "meter"
profile = "eastron-sdm630"
bus = "rs485"
unit = 1
period_s = 10
points = ["voltage_l1", "energy_import"]

[device.point.active_power]
period_s = 2
filters = [
  { kind = "range", low = -50000, high = 50000 },
  { kind = "median", size = 3 },
]
window = { period_s = 10, outputs = ["mean", "min"] }

[[device]]
id = "relays"
profile = "waveshare-relay8"
bus = "rs485"
unit = 4

[[device]]
id = "bed-1"
profile = "dfrobot-sen0193"
pin = "A1"
period_s = 5

[[device]]
id = "water"
profile = "pulse-water"
pin = "P1"

[device.point.volume]
per_pulse = 10
"""


def resolve(tmp_path, text):
    path = tmp_path / "site.toml"
    path.write_text(text)
    return resolve_site(path)


def problems_of(tmp_path, text):
    with pytest.raises(Problems) as caught:
        resolve(tmp_path, text)
    return caught.value.problems


def here(text):
    return next(number for number, line in enumerate(text.split("\n"), 1) if "# HERE" in line)


def test_a_sound_site(tmp_path):
    resolved = resolve(tmp_path, SITE)
    assert resolved.gpios == {"bed-1": 34, "water": 32}
    names = [channel.name for channel in resolved.channels]
    assert names[:3] == ["meter/voltage_l1", "meter/energy_import", "meter/active_power"]
    assert names[3:] == [f"relays/relay_{n}" for n in range(1, 9)] + ["bed-1/moisture", "water/volume"]
    power = resolved.channels[2]
    assert power.period_s == 2 and power.outputs == ["mean", "min"]
    assert power.stream("mean") == ("meter/active_power/mean", "gauge", 2, 10, "W", 0)
    assert resolved.channels[1].stream("each") == ("meter/energy_import", "counter", 1, 10, "kWh", -2)
    assert resolved.channels[-1].per_pulse == 10


MISTAKES = {
    # form
    "unknown key": ("period_s = 5\n", "perid_s = 5  # HERE\n", "device 'bed-1': unknown key 'perid_s'", "'period_s'"),
    "unknown block": ("[network]", "[networks]  # HERE", "unknown key 'networks'", "'network'"),
    "missing block": ('[mqtt]\nhost = "broker.kalasatama.example"\ninsecure = true\n', "", "'mqtt' is missing", "host"),
    "missing key": ('gateway = "demo-01"\n', "", "site: 'gateway' is missing", "unique"),
    "wrong type": ("baud = 9600", 'baud = "9600"  # HERE', "must be a whole number", "9600"),
    "a number with a point": ("unit = 1\n", "unit = 1.0  # HERE\n", "unit = 1.0 must be a whole number", "1..255"),
    "true is no number": ("unit = 1\n", "unit = true  # HERE\n", "unit = true must be a whole number", "1..255"),
    "1 is not true": ("insecure = true", "insecure = 1  # HERE", "must be true or false", "plain TCP"),
    "a table for a number": ("period_s = 5\n", "period_s = { s = 5 }  # HERE\n", "must be a whole number", ""),
    "text for a list": ('points = ["voltage_l1", "energy_import"]', 'points = "all"  # HERE', "must be a list", ""),
    "text for a block": ("[device.point.volume]\nper_pulse = 10", "[device.point]\nvolume = 10  # HERE", "a table", ""),
    "unit too high": ("unit = 1\n", "unit = 256  # HERE\n", "out of range", "1..255"),
    "unit too low": ("unit = 1\n", "unit = 0  # HERE\n", "out of range", "1..255"),
    "odd baud rate": ("baud = 9600", "baud = 9000  # HERE", "not a usual baud rate", "nearest is 9600"),
    "port": ("insecure", "port = 0  # HERE\ninsecure", "out of range", "1..65535"),
    "a slash in a name": ('id = "meter"', 'id = "main/meter"  # HERE', "not a valid name", "A-Z"),
    "a blank in a name": ('name = "kalasatama"', 'name = "kala satama"  # HERE', "not a valid name", "A-Z"),
    "an umlaut in a name": ('gateway = "demo-01"', 'gateway = "äiti"  # HERE', "not a valid name", "A-Z"),
    "a URL for a host": ('host = "broker', 'host = "mqtt://broker', "is not a host", "no scheme"),
    "a wildcard in the root": ("insecure", 'root = "district/+"  # HERE\ninsecure', "not a topic root", "district/v1"),
    "an empty topic level": ("insecure", 'root = "district//v1"  # HERE\ninsecure', "not a topic root", "district/v1"),
    "unknown filter": ('kind = "median",', 'kind = "medium",', "'kind' must be one of range, rate, stuck, median,", ""),
    "even median": ("size = 3 },", "size = 4 },  # HERE", "size = 4: is even", "3 or 5"),
    "key of another filter": ("size = 3 },", "size = 3, low = 1 },  # HERE", "unknown key 'low'", "size"),
    "unknown output": ('"min"] }', '"avg"] }  # HERE', 'outputs[1] = "avg"', "mean"),
    "no output": ('["mean", "min"]', "[]", "is too short", "mean, min"),
    "odd period": ("period_s = 5\n", "period_s = 7  # HERE\n", "does not divide a day", "6 or 8"),
    "long period": ("period_s = 5\n", "period_s = 86401  # HERE\n", "out of range", "1..86400"),
    "syntax": ("unit = 4", "unit = = 4  # HERE", "not valid TOML", "toml.io"),
    "a key twice": ("unit = 4", "unit = 4\nunit = 5  # HERE", "not valid TOML", "toml.io"),
    # sense
    "unknown board": ('"esp32-devkit"', '"esp32-devkitt"  # HERE', "there is no board", "'esp32-devkit'"),
    "plain TCP unasked": ("insecure = true", "", "'ca' is missing", "insecure = true"),
    "no ssid": ('ssid = "kalasatama-iot"\n', "", "'ssid' is missing", "ssid ="),
    "a password without a user": ("insecure = true", 'insecure = true\npassword = "x"  # HERE', "needs a user", "user"),
    "unknown port": ('port = "rs485"', 'port = "rs458"  # HERE', "has no port 'rs458'", "'rs485'"),
    "unknown bus": ('bus = "rs485"\nunit = 4', 'bus = "rs484"  # HERE\nunit = 4', "no bus 'rs484'", "'rs485'"),
    "unknown profile": ('"waveshare-relay8"', '"waveshare-relay16"  # HERE', "no profile", "'waveshare-relay8'"),
    "missing profile file": ('"waveshare-relay8"', '"./mine.toml"  # HERE', "there is no profile", "relative"),
    "two devices with one id": (
        'id = "relays"',
        'id = "meter"  # HERE',
        "'meter' is already taken (line 23)",
        "unique",
    ),
    "two devices with one unit": ("unit = 4", "unit = 1  # HERE", "already that of device 'meter'", "line 26"),
    "no unit": ("unit = 4\n", "", "device 'relays': 'unit' is missing", "unit = 1"),
    "no bus": ('bus = "rs485"\nunit = 4', "unit = 4", "device 'relays': 'bus' is missing", "rs485"),
    "a pin for a bus device": ("unit = 4", 'unit = 4\npin = "A2"  # HERE', "'pin' is for analogue and pulse", "remove"),
    "a unit for a pin device": (
        'pin = "A1"',
        'pin = "A1"\nunit = 1  # HERE',
        "'unit' is for devices on a bus",
        "remove",
    ),
    "unknown point": ('"energy_import"]', '"energy_imprt"]  # HERE', "has no point 'energy_imprt'", "'energy_import'"),
    "options for an unknown point": (
        "[device.point.volume]",
        "[device.point.volum]  # HERE",
        "no point 'volum'",
        "volume",
    ),
    "a register for a point": (
        '"energy_import"]',
        "72]  # HERE",
        "points[1] = 72: is not the name",
        "only in the profile",
    ),
    "a point twice": ('"energy_import"]', '"voltage_l1"]  # HERE', "stands twice", "once"),
    "unknown pin": ('pin = "A1"', 'pin = "A7"  # HERE', 'has no ADC input "A7"', "A1"),
    "a pulse input for an analogue device": ('pin = "A1"', 'pin = "P2"  # HERE', "one of the pulse inputs", "A1"),
    "an analogue input for pulses": ('pin = "P1"', 'pin = "A2"  # HERE', "one of the ADC inputs", "P1"),
    "ADC2": ('pin = "A1"', "pin = 25  # HERE", "ADC2, which does not work beside Wi-Fi", "by name: A1"),
    "a pin of the flash": ('pin = "P1"', "pin = 6  # HERE", "GPIO 6", "by name: P1"),
    "a pin of the bus": ('pin = "P1"', "pin = 17  # HERE", "GPIO 17 is already used by bus 'rs485'", "another"),
    "a pin twice": (
        'pin = "P1"',
        'pin = 32\n[[device]]\nid = "w2"\nprofile = "pulse-water"\npin = "P1"  # HERE',
        "GPIO 32 is already used by device 'water'",
        "another",
    ),
    "no pin": ('pin = "A1"\n', "", "'pin' is missing", "A1"),
    "range upside down": ("low = -50000, high = 50000 },", "low = 5, high = -5 },  # HERE", "not below", "low < high"),
    "range beyond all": ("high = 50000 },", "high = 1e25 },  # HERE", "more than a value can hold", ""),
    "window no multiple": (
        "window = { period_s = 10",
        "window = { period_s = 15",
        "no multiple of the point's",
        "e.g. 12, 16",
    ),
    "mean of a counter": (
        "per_pulse = 10",
        'window = { period_s = 10, outputs = ["mean"] }  # HERE',
        "of a counter",
        "delta",
    ),
    "delta of a gauge": ('"min"] }', '"delta"] }  # HERE', "'delta' of a gauge", "mean"),
    "an output twice": ('"min"] }', '"mean"] }  # HERE', "'mean' stands twice", "once"),
    "per_pulse of a register": (
        "period_s = 2\n",
        "per_pulse = 2  # HERE\n",
        "'per_pulse' is for pulse inputs",
        "remove",
    ),
    "calibration of pulses": (
        "per_pulse = 10",
        "calibration = [[1, 2], [3, 4]]  # HERE",
        "for analog inputs",
        "remove",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_at_its_line(tmp_path, name):
    old, new, what, hint = MISTAKES[name]
    assert SITE.count(old) >= 1
    text = SITE.replace(old, new, 1)
    [problem] = problems_of(tmp_path, text)
    assert what in problem.what, problem
    assert hint in problem.hint, problem
    if "# HERE" in text:
        assert problem.line == here(text)
    elif problem.line:
        block = text.split("\n")[problem.line - 1]
        assert block.startswith("[") or new.split("\n")[0] in block
    assert problem.file == str(tmp_path / "site.toml")


WIFI = 'kind = "wifi"\nssid = "kalasatama-iot"\npassword = "fish-harbour"'


def test_ethernet_is_for_boards_that_have_it(tmp_path):
    wired = SITE.replace(WIFI, 'kind = "lan"')
    assert resolve(tmp_path, wired).site.network.kind == "lan"
    [problem] = problems_of(tmp_path, wired.replace("esp32-devkit", "esp32-c3-devkit"))
    assert "has no Ethernet" in problem.what and problem.line == 8
    [problem] = problems_of(tmp_path, wired.replace('pin = "P1"', "pin = 25"))
    assert "GPIO 25 is already used by the network" in problem.what
    [problem] = problems_of(tmp_path, SITE.replace('kind = "wifi"\nssid = "kalasatama-iot"', 'kind = "lan"'))
    assert "'password' belongs to Wi-Fi" in problem.what


def test_two_buses_need_two_names_and_two_ports(tmp_path):
    second = '[[bus]]\nid = "rs485"\nkind = "modbus-rtu"\nport = "rs485"\nbaud = 9600\n\n[[device]]\nid = "meter"'
    taken, port = problems_of(tmp_path, SITE.replace('[[device]]\nid = "meter"', second))
    assert "the id 'rs485' is already taken (line 17)" in taken.what and taken.line == 23
    assert "port 'rs485' is already that of bus 'rs485'" in port.what and port.line == 25


def test_a_device_reads_the_points_that_are_named(tmp_path):
    text = SITE.replace('points = ["voltage_l1", "energy_import"]', "points = []")
    assert [c.name for c in resolve(tmp_path, text).channels][:2] == ["meter/active_power", "relays/relay_1"]
    [problem] = problems_of(tmp_path, SITE.replace("unit = 4", "unit = 4\npoints = []"))
    assert "no point is read from this device" in problem.what and "relay_1" in problem.hint


def test_all_mistakes_are_shown_at_once_in_the_order_of_lines(tmp_path):
    text = (
        SITE.replace('pin = "A1"', 'pin = "A8"').replace("unit = 4", "unit = 1").replace('"rs485"\nbaud', '"x"\nbaud')
    )
    problems = problems_of(tmp_path, text)
    assert len(problems) == 3
    lines = [problem.line for problem in problems]
    assert lines == sorted(lines)
    told = str(Problems(problems))
    assert told.count("\n  -> ") == 3 and told.startswith(f"{tmp_path}/site.toml:{lines[0]}: bus 'rs485': ")


def test_a_mistake_in_a_profile_is_shown_there_and_once(tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\nvendor = 5\n')
    text = SITE.replace('"waveshare-relay8"', '"./mine.toml"').replace('"pulse-water"', '"./mine.toml"')
    problems = problems_of(tmp_path, text)
    assert {problem.file for problem in problems} == {str(tmp_path / "mine.toml")}
    assert sum(problem.key == "vendor" for problem in problems) == 1


@pytest.mark.parametrize(
    "line",
    [
        "password = 1234567890123",
        'password = ["fish-harbour-7"]',
        'password = "fish"',
        'pasword = "fish-harbour-7"',
        'password = "fish-harbour-7"\nssid = 7',
        'password = "fish-harbour-7"\nbroken = = 1',
    ],
)
def test_a_password_never_appears_in_a_message(tmp_path, line):
    problems = problems_of(tmp_path, SITE.replace('password = "fish-harbour"', line))
    told = str(Problems(problems)) + repr(problems) + "".join(repr(p.as_dict()) for p in problems)
    assert '"fish' not in told and "harbour-7" not in told and "1234567890123" not in told


def test_a_missing_file_is_told_with_the_likely_one(tmp_path):
    (tmp_path / "demo.toml").write_text(SITE)
    with pytest.raises(Problems, match="there is no such site file") as caught:
        resolve_site(tmp_path / "dmo.toml")
    assert "did you mean 'demo.toml'" in caught.value.problems[0].hint
    with pytest.raises(Problems, match="cannot be read"):
        resolve_site(tmp_path)


def test_a_file_that_is_no_text_is_told_with_its_line(tmp_path):
    (tmp_path / "site.toml").write_bytes(b"# one\n# tw\xff\n")
    with pytest.raises(Problems, match=r"site\.toml:2: the site file is not UTF-8"):
        resolve_site(tmp_path / "site.toml")


def test_windows_line_ends_do_not_move_the_lines(tmp_path):
    text = SITE.replace("period_s = 5\n", "perid_s = 5  # HERE\n")
    (tmp_path / "site.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    with pytest.raises(Problems) as caught:
        resolve_site(tmp_path / "site.toml")
    assert caught.value.problems[0].line == here(text)


def test_what_is_odd_but_no_mistake_is_a_warning(tmp_path):
    text = SITE.replace('board = "esp32-devkit"', 'board = "esp32-c3-devkit"').replace('"pulse-water"', '"yf-s201"')
    text = text.replace("per_pulse = 10", 'per_pulse = "1/440"').replace('"waveshare-relay8"', '"eastron-sdm120"')
    told = "\n".join(map(str, resolve(tmp_path, text).warnings))
    assert "leaves the factory at 2400 8N1" in told
    assert "225 pulses a second" in told and "no hardware counter" in told
    assert "2540 mV lies where this board's ADC is not straight" in told


def test_a_technician_is_told_what_is_not_certain_about_a_device_and_what_must_be_set(tmp_path):
    text = SITE.replace('"waveshare-relay8"', '"eastron-sdm120"').replace("baud = 9600", "baud = 2400\nstop_bits = 2")
    told = list(map(str, resolve(tmp_path, text).warnings))
    [doubt] = [line for line in told if "profile eastron-sdm120 are not certain" in line]
    assert "satama profiles show eastron-sdm120" in doubt
    assert any("stop_bits = 2 on the bus suits devices of either kind" in line for line in told)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_edit_of_a_site_file_breaks_the_checker(tmp_path, data):
    """Whatever a hand does to the file: either it is fine, or Problems with lines that exist."""
    lines = SITE.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        edit = data.draw(st.sampled_from(["drop", "double", "swap", "value", "char"]))
        key, equals, _ = lines[at].partition("=")
        if edit == "drop":
            lines[at] = ""
        elif edit == "double":
            lines.insert(at, lines[at])
        elif edit == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif edit == "value" and equals:
            odd = [
                "0",
                "-1",
                "true",
                '""',
                "[]",
                "{}",
                "1.5",
                "nan",
                '"é/"',
                "1979-05-27",
                "[[1]]",
                "99999999999999999999",
            ]
            lines[at] = f"{key}= {data.draw(st.sampled_from(odd))}"
        elif lines[at]:
            place = data.draw(st.integers(0, len(lines[at]) - 1))
            lines[at] = lines[at][:place] + data.draw(st.sampled_from(string.printable[:95])) + lines[at][place + 1 :]
    try:
        resolve(tmp_path, "\n".join(lines))
    except Problems as error:
        assert error.problems
        for problem in error.problems:
            assert problem.line is None or 1 <= problem.line <= len(lines)
            assert problem.what and str(problem)


KEYS = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=4)
SCALARS = st.sampled_from(
    ["1", "-2.5", "true", '"#]}=\\""', "'[['", '"""a\n"b"\\\n"""', "'''\n[x]\n'''", '"""q"""""', "1979-05-27"]
)


class Writer:
    """Writes TOML in odd layouts and knows on which line every path begins."""

    def __init__(self, draw):
        self.draw, self.text, self.lines = draw, "", {}

    def put(self, text):
        self.text += text

    def note(self, path):
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def blank(self, also=()):
        self.put(self.draw(st.sampled_from(["", " ", "\n", "\n\n", "# [x] y = 1\n", *also])))

    def key(self, name):
        quoted = self.draw(st.sampled_from(["{}", "'{}'", '"{}"']))
        self.put(quoted.format(name))

    def value(self, path, depth=0):
        kind = self.draw(st.sampled_from(["scalar", "array", "table"])) if depth < 2 else "scalar"
        if kind == "scalar":
            self.put(self.draw(SCALARS))
        elif kind == "array":
            self.put("[")
            for index in range(self.draw(st.integers(0, 3))):
                self.put("," if index else "")
                self.put(self.draw(st.sampled_from(["", " ", "\n", " # ]\n\n"])))
                self.note((*path, index))
                self.value((*path, index), depth + 1)
            self.put(self.draw(st.sampled_from(["", " ", "\n"])) + "]")
        else:
            self.put("{ ")
            for index, name in enumerate(self.draw(st.lists(KEYS, max_size=2, unique=True))):
                self.put(", " if index else "")
                self.note((*path, name))
                self.key(name)
                self.put(" = ")
                self.value((*path, name), depth + 1)
            self.put(" }")

    def pairs(self, path):
        for name in self.draw(st.lists(KEYS, max_size=3, unique=True)):
            self.blank()
            if self.text and not self.text.endswith("\n"):
                self.put("\n")
            self.note((*path, name))
            self.key(name)
            self.put(self.draw(st.sampled_from(["=", " = ", "\t= "])))
            self.value((*path, name))
            self.put("\n")

    def document(self):
        self.pairs(())
        for name in self.draw(st.lists(KEYS.map(lambda k: "T" + k), max_size=3, unique=True)):
            array = self.draw(st.booleans())
            for index in range(self.draw(st.integers(1, 3)) if array else 1):
                self.put("\n")
                path = (name, index) if array else (name,)
                self.note((name,))
                self.note(path)
                self.put("[[" if array else "[")
                self.key(name)
                self.put(("]]" if array else "]") + self.draw(st.sampled_from(["\n", " # [[y]]\n"])))
                self.pairs(path)
                if self.draw(st.booleans()):
                    self.put("[")
                    self.note((*path, "Sub"))
                    self.key(name)
                    self.put(" . Sub]\n")
                    self.pairs((*path, "Sub"))


@settings(max_examples=150)
@given(data=st.data())
def test_every_key_is_found_on_its_line(data):
    writer = Writer(data.draw)
    writer.document()
    found = key_lines(writer.text, tomllib.loads(writer.text, parse_float=Decimal))
    assert found == writer.lines


def test_a_wrong_line_is_worse_than_none():
    assert key_lines("a = 1\n", {"b": 1}) == {}


def test_paths_and_suggestions_read_well():
    assert dotted(("device", 2, "points", 1)) == "device[2].points[1]"
    assert closest("perid_s", ["unit", "period_s"]) == "did you mean 'period_s'? (known: unit, period_s)"
    assert closest("zzz", []) == "known: none"
