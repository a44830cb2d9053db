"""Is what arrived at the broker what the devices showed?"""

from fractions import Fraction

from gateway.core.exact import divide_half_even


def assert_exact(cab, truth_log, within_us):
    """Every value that arrived is one that its device showed within that time of the sample's slot. Returns how many there were."""
    checked = 0
    for stream in cab.compiled.streams:
        name, point = stream.name.split("/")
        truth = [(at_us, shown) for who, what, at_us, shown in truth_log if (who, what) == (name, point)]
        for sample in cab.broker.stream(stream.name).samples:
            if sample.value is None:
                continue
            taken_us = (sample.time - cab.start_unix_s) * 1_000_000
            shown = {
                mantissa(value, stream.exponent)
                for at_us, value in truth
                if value is not None and 0 <= at_us - taken_us < within_us
            }
            assert Fraction(sample.value) / Fraction(10) ** stream.exponent in shown, (stream.name, sample)
            checked += 1
    return checked


def mantissa(value: Fraction, exponent: int) -> int:
    scaled = value / Fraction(10) ** exponent
    return divide_half_even(scaled.numerator, scaled.denominator)


def steady(cab):
    """Names of the streams that report in every slot: not by exception, and no alarm, which reports when it changes."""
    body = cab.compiled.body
    names = set()
    for row in body["points"]:
        if not (len(row) > 4 and "report" in row[4]):
            names |= {body["streams"][stream][1] for _, stream in row[3] if body["streams"][stream][5] != 0}
    return names
