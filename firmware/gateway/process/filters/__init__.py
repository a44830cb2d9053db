"""The filters of one point, each built from its compiled spec: [kind, argument, ...], whole numbers throughout.

Every filter has apply(mantissa, quality byte, uptime in seconds): (mantissa, quality byte), or None when this reading is
not to be reported. Mantissas, in and out, lie within +-(2 ** 63 - 1). What is bad passes with its reason and enters
no statistics. Should the time fall, nothing has passed, and an interval begins anew.
"""

from gateway.core.errors import require
from gateway.core.exact import whole


def kinds(name):
    """The kinds of filters among which the name is. A submodule costs memory only once a site names one of its own."""
    if name in ("range", "rate", "stuck"):
        from gateway.process.filters import checks

        return checks.KINDS
    if name in ("median", "hampel", "quantile", "mean", "ema"):
        from gateway.process.filters import smoothing

        return smoothing.KINDS
    if name in ("deadband", "throttle", "hysteresis", "debounce", "hold"):
        from gateway.process.filters import reporting

        return reporting.KINDS
    if name == "counter":
        from gateway.process import counter

        return counter.KINDS
    require(name in ("calibrate", "scale", "offset", "clamp"))
    from gateway.process.filters import scaling

    return scaling.KINDS


def nobody(event, point, about):
    """Where nobody wants to hear of events."""


def build(spec, point=0, report=nobody):
    """A new filter; SettingError(INVALID) for an unknown kind and for arguments that are wrong in number, type or size.

    A counter tells report(event, point, about) of its jumps.
    """
    require(type(spec) in (list, tuple) and spec and type(spec[0]) is str)
    kind, count = kinds(spec[0])[spec[0]]
    arguments = spec[1:]
    require(len(arguments) == count)
    if spec[0] != "calibrate":  # it looks through its points itself
        for argument in arguments:
            require(whole(argument))
    return kind(point, report, *arguments) if spec[0] == "counter" else kind(*arguments)
