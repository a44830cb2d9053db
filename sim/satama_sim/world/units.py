"""Units the world can express its readings in: unit -> (base unit, how many base units it is), exact.

SenML units (RFC 8428), their secondary units (RFC 8798) and the everyday ones that stand in device manuals.
"""

from fractions import Fraction

_HOUR = 3600

_TABLE = {
    "V": {"V": 1, "mV": "1/1000", "kV": 1000},
    "A": {"A": 1, "mA": "1/1000"},
    "W": {"W": 1, "mW": "1/1000", "kW": 1000, "MW": 10**6},
    "VA": {"VA": 1, "kVA": 1000},
    "var": {"var": 1, "kvar": 1000},
    "J": {"J": 1, "kJ": 1000, "MJ": 10**6, "GJ": 10**9, "Wh": _HOUR, "kWh": 1000 * _HOUR, "MWh": 10**6 * _HOUR},
    "vars": {"vars": 1, "varh": _HOUR, "kvarh": 1000 * _HOUR},
    "VAs": {"VAs": 1, "VAh": _HOUR, "kVAh": 1000 * _HOUR},
    "/": {"/": 1, "1": 1, "": 1, "%": "1/100", "/100": "1/100", "/1000": "1/1000", "%RH": "1/100", "ppm": "1/1000000"},
    "deg": {"deg": 1},
    "Hz": {"Hz": 1, "mHz": "1/1000", "kHz": 1000},
    "Cel": {"Cel": 1, "mCel": "1/1000"},
    "K": {"K": 1, "Cel": 1},
    "m": {"m": 1, "dm": "1/10", "cm": "1/100", "mm": "1/1000", "um": "1/1000000"},
    "m3": {"m3": 1, "l": "1/1000", "ml": "1/1000000"},
    "m3/s": {"m3/s": 1, "m3/h": "1/3600", "l/s": "1/1000", "l/min": "1/60000", "l/h": "1/3600000", "ml/s": "1/1000000"},
}

_FACTORS = {base: {unit: Fraction(factor) for unit, factor in row.items()} for base, row in _TABLE.items()}


def factor(base: str, unit: str) -> Fraction | None:
    """How many `base` units one `unit` is; None when the two do not measure the same thing."""
    return _FACTORS.get(base, {}).get(unit)
