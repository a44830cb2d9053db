"""A Modbus RTU slave by libmodbus (C), in a process of its own: python libmodbus_slave.py PORT UNIT BAUD < tables as JSON.

Prints "ready" when it listens and runs until it is killed. Exit 3: the library is not here.
"""

import json
import sys
from ctypes import CDLL, POINTER, Structure, c_char, c_char_p, c_int, c_uint8, c_uint16, c_void_p, create_string_buffer

TABLES = ("coils", "discrete_inputs", "input_registers", "holding_registers")


class Mapping(Structure):
    """modbus_mapping_t of libmodbus 3.1 (modbus.h)."""

    _fields_ = [
        *((f"{kind}_{name}", c_int) for name in TABLES for kind in ("number", "start")),
        *((name, POINTER(c_uint8 if name in TABLES[:2] else c_uint16)) for name in TABLES),
    ]


def main(port: str, unit: str, baud: str) -> None:
    try:
        lib = CDLL("libmodbus.so.5")
    except OSError:
        sys.exit(3)
    lib.modbus_new_rtu.restype = c_void_p
    lib.modbus_new_rtu.argtypes = [c_char_p, c_int, c_char, c_int, c_int]
    lib.modbus_mapping_new.restype = POINTER(Mapping)
    tables = json.load(sys.stdin)
    slave = c_void_p(lib.modbus_new_rtu(port.encode(), int(baud), b"N", 8, 1))
    mapping = lib.modbus_mapping_new(*(len(tables[name]) for name in (TABLES[0], TABLES[1], TABLES[3], TABLES[2])))
    for name in TABLES:
        table = getattr(mapping.contents, name)
        for at, value in enumerate(tables[name]):
            table[at] = value
    if lib.modbus_set_slave(slave, int(unit)) or lib.modbus_connect(slave):
        sys.exit(f"libmodbus cannot open {port}")
    print("ready", flush=True)
    query = create_string_buffer(260)
    while True:
        length = lib.modbus_receive(slave, query)
        if length > 0:
            lib.modbus_reply(slave, query, length, mapping)


if __name__ == "__main__":
    main(*sys.argv[1:])
