"""Benchmarks: the gateway against what one would write without it, in simulated time."""
