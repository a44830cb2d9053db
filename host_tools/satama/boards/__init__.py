"""Boards as data: what each board file says, whether that can be, and how its wiring is told. The files lie in boards/ of the project."""
