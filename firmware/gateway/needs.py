"""What a site needs of the application, imported before its tables lie in the heap.

Importing makes MicroPython's table of names grow, by doubling: several KB in one piece, which a heap that is full of small lists does
not have any more.
"""

_OF_BUSES = {
    "modbus-rtu": ("acquire.modbus.bus", "acquire.modbus.unit", "acquire.modbus.rtu"),
    "modbus-tcp": ("acquire.modbus.bus", "acquire.modbus.unit", "acquire.modbus.tcp"),
    "h1": ("acquire.pushed.listener", "acquire.pushed.telegram"),
    "stream": ("acquire.pushed.listener", "acquire.pushed.stream"),
}
_OF_INPUTS = {
    "adc": ("acquire.inputs.analog", "acquire.inputs.calibrations"),
    "pulse": ("acquire.inputs.pulses",),
    "heard": (),
}
_OF_OPTIONS = (("report", "process.report"), ("private", "process.privacy"))
_OF_ENCODINGS = {
    "cbor": ("uplink.senml", "uplink.cbor"),
    "json": ("uplink.senml", "uplink.json_text"),
    "compact": ("uplink.compact",),
}


def of(site):
    """What import_all() needs to know of a compiled site: (module names, a filter spec of every kind, kinds of derived quantities).

    Small, and all that has to stay."""
    names, specs, kinds = [], [], []
    for bus in site["buses"]:
        _add(names, _OF_BUSES[bus["kind"]])
    for _, _, inputs in site["polls"]:
        for spec in inputs:
            _add(names, _OF_INPUTS[spec[0]])
    if site["probes"]:
        _add(names, ("acquire.modbus.identify",))
    for unit in site["units"]:
        if unit[6]:
            _add(names, ("acquire.modbus.sunspec",))
    for point in site["points"]:
        for spec in point[2]:
            if spec[0] not in kinds:
                kinds.append(spec[0])
                specs.append(spec)
        for option, name in _OF_OPTIONS:
            if len(point) > 4 and option in point[4]:
                _add(names, (name,))
    derived = [spec[0] for spec in site["derived"]]
    if derived:
        _add(names, ("process.derived.keeping",))
    _add(names, _OF_ENCODINGS[site["mqtt"]["encoding"]])
    return names, specs, derived


def import_all(names, specs, derived):
    """Import them, before anything of the site lies in the heap."""
    from gateway.process import filters

    for name in names:
        __import__("gateway." + name)
    for spec in specs:
        filters.build(spec)
    if derived:
        from gateway.process.derived import kinds

        for kind in derived:
            kinds(kind)


def _add(names, more):
    for name in more:
        if name not in names:
            names.append(name)
