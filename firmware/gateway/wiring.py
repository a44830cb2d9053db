"""What the cabinet is wired to: buses, the devices on them, inputs. Only the kinds that a site has are imported."""


class Wiring:
    """`site`: the body of a compiled site; `inputs`: those of every poll."""

    def __init__(self, site, state, clock):
        self._state = state
        self._clock = clock
        self.buses = [self._bus(spec) for spec in site["buses"]]
        self.units = [self._unit(spec) for spec in site["units"]]
        self.pulses = None
        self.analog = []
        self.inputs = [[self._input(spec) for spec in poll[2]] for poll in site["polls"]]

    def _bus(self, spec):
        """The owner of a bus."""
        kind = spec["kind"]
        if kind == "modbus-rtu":
            from gateway.acquire.modbus.rtu import RtuLink as Link
        elif kind == "modbus-tcp":
            from gateway.acquire.modbus.tcp import TcpLink as Link
        else:
            from gateway.acquire.pushed.listener import Listener

            return Listener(spec, self._clock)
        from gateway.acquire.modbus.bus import Bus

        return Bus(spec, Link(spec), self._clock)

    def _unit(self, spec):
        from gateway.acquire.modbus.unit import Unit

        unit = Unit(spec)
        self.buses[unit.bus].units.append(unit)
        return unit

    def _input(self, spec):
        kind = spec[0]
        if kind == "adc":
            from gateway.acquire.inputs.analog import AnalogInput
            from gateway.acquire.inputs.calibrations import Calibrations

            made = AnalogInput(spec, self.analog[0].calibrations if self.analog else Calibrations(self._state))
            self.analog.append(made)
        elif kind == "pulse":
            from gateway.acquire.inputs.pulses import Pulses

            if not self.pulses:
                from machine import RTC

                self.pulses = Pulses(self._state, RTC(), self._clock.uptime_ms)
            made = self.pulses.add(spec)
        else:
            from gateway.acquire.pushed.listener import Heard

            made = Heard(self.buses[spec[1]], spec)
        return made
