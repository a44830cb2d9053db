"""The one workload on which encodings and the journal are compared: 12 devices, 40 points, one sample a minute. Seeded, exact, no floats."""

import random

SITE, GATEWAY, START = "kala", "gw-0007", 1_790_000_000
# device: [(point, unit, decimal exponent, kind, start, step)]; gauges wander by +-step, counters grow by 0..step
DEVICES = {
    "main-meter": [
        ("u1", "V", -1, "gauge", 2301, 4),
        ("u2", "V", -1, "gauge", 2298, 4),
        ("u3", "V", -1, "gauge", 2310, 4),
        ("i1", "A", -2, "gauge", 431, 20),
        ("i2", "A", -2, "gauge", 387, 20),
        ("i3", "A", -2, "gauge", 512, 20),
        ("p", "W", 0, "gauge", 2950, 90),
        ("pf", "/", -3, "gauge", 973, 5),
        ("f", "Hz", -2, "gauge", 5000, 2),
        ("import", "Wh", 0, "counter", 18_446_251_337, 60),
        ("export", "Wh", 0, "counter", 91_204, 3),
    ],
    "ev-meter": [
        ("p", "W", 0, "gauge", 7360, 60),
        ("i", "A", -2, "gauge", 1600, 10),
        ("import", "Wh", 0, "counter", 7_451_200, 123),
    ],
    "pv": [("p", "W", 0, "gauge", 4120, 120), ("yield", "Wh", 0, "counter", 52_811_900, 70)],
    "heat": [
        ("tf", "Cel", -2, "gauge", 6841, 8),
        ("tr", "Cel", -2, "gauge", 3912, 6),
        ("flow", "l/h", 0, "gauge", 812, 9),
        ("energy", "kWh", 0, "counter", 284_113, 1),
        ("volume", "l", 0, "counter", 9_120_444, 14),
    ],
    "cold-water": [("volume", "l", 0, "counter", 1_204_991, 6)],
    "hot-water": [("volume", "l", 0, "counter", 612_207, 4)],
    "bin-1": [("fill", "%", 0, "gauge", 41, 1), ("t", "Cel", -1, "gauge", 83, 1), ("batt", "mV", 0, "gauge", 3612, 2)],
    "bin-2": [("fill", "%", 0, "gauge", 77, 1), ("t", "Cel", -1, "gauge", 79, 1), ("batt", "mV", 0, "gauge", 3588, 2)],
    "bed-1": [
        ("soil", "%", -1, "gauge", 312, 2),
        ("t", "Cel", -1, "gauge", 114, 1),
        ("ec", "uS/cm", 0, "gauge", 840, 5),
    ],
    "bed-2": [("soil", "%", -1, "gauge", 287, 2)],
    "weather": [
        ("t", "Cel", -1, "gauge", 96, 1),
        ("rh", "%RH", -1, "gauge", 712, 3),
        ("rain", "mm", -1, "counter", 4_381, 1),
        ("wind", "m/s", -1, "gauge", 34, 6),
        ("lux", "lx", 0, "gauge", 18_400, 900),
    ],
    "valve-1": [("volume", "l", 0, "counter", 88_120, 9), ("open", "", 0, "state", 0, 1)],
}


def points():
    """List of dicts: id (small int, stable), device, point, unit, exponent, kind."""
    return [
        {"id": i, "device": d, "point": p[0], "unit": p[1], "exponent": p[2], "kind": p[3]}
        for i, (d, p) in enumerate((d, p) for d, ps in DEVICES.items() for p in ps)
    ]


def rounds(n, seed=7, period_s=60):
    """Yield n tuples (unix seconds, [mantissa of each point in the order of points()])."""
    rng = random.Random(seed)
    now = [p[4] for ps in DEVICES.values() for p in ps]
    shape = [(p[3], p[5]) for ps in DEVICES.values() for p in ps]
    for k in range(n):
        for i, (kind, step) in enumerate(shape):
            if kind == "counter":
                now[i] += rng.randint(0, step)
            elif kind == "state":
                now[i] = int(rng.random() < 0.1)
            else:
                now[i] += rng.randint(-step, step)
        yield START + k * period_s, list(now)


def publish_size(topic, payload):
    """Bytes of one MQTT 3.1.1 PUBLISH packet at QoS 1."""
    body = 2 + len(topic.encode()) + 2 + len(payload)
    return 1 + (1 if body < 128 else 2 if body < 16384 else 3) + body
