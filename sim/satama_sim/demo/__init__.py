"""The demonstration: a cabinet in real time, and the screen of what arrives at the broker."""
