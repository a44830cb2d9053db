"""The cabinet's field bus: simulated Modbus devices that measure the world."""
