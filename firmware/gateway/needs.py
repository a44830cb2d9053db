"""What a site needs of the application, imported before its tables lie in the heap.

Importing makes MicroPython's table of names grow, by doubling: several KB in one piece, which a heap that is full of small lists does
not have any more.
"""

_OF_BUSES = {
    "modbus-rtu": ("modbus.bus", "modbus.unit", "modbus.rtu"),
    "modbus-tcp": ("modbus.bus", "modbus.unit", "modbus.tcp"),
    "h1": ("pushed.listener", "pushed.telegram"),
    "stream": ("pushed.listener", "pushed.stream"),
}
_OF_INPUTS = {"adc": ("inputs.analog", "inputs.calibrations"), "pulse": ("inputs.pulses",), "heard": ()}


def of(site):
    """What import_all() needs to know of a compiled site: (module names, a filter spec of every kind). Small, and all that has to stay."""
    names, specs, kinds = [], [], []
    for bus in site["buses"]:
        _add(names, _OF_BUSES[bus["kind"]])
    for _, _, inputs in site["polls"]:
        for spec in inputs:
            _add(names, _OF_INPUTS[spec[0]])
    if site["probes"]:
        _add(names, ("modbus.identify",))
    for unit in site["units"]:
        if unit[6]:
            _add(names, ("modbus.sunspec",))
    for point in site["points"]:
        for spec in point[2]:
            if spec[0] not in kinds:
                kinds.append(spec[0])
                specs.append(spec)
    return names, specs


def import_all(names, specs):
    """Import them, before anything of the site lies in the heap."""
    from gateway.process import filters

    for name in names:
        __import__("gateway.acquire." + name)
    for spec in specs:
        filters.build(spec)


def _add(names, more):
    for name in more:
        if name not in names:
            names.append(name)
