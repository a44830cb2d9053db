"""Storms: a cabinet is mistreated thousands of times, and every sample is asked for afterwards."""
