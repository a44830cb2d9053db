"""Between the board and the broker: names, latency, outages, faults, TLS, and what stands at the far end."""
