"""Satama's host side: the `satama` command and the library under it."""

__version__ = "0.1.0"
RELEASED = 1_795_000_000  # Unix seconds: what a gateway built with this version never believes to be earlier than
