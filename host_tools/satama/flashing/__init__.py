"""From a stock MicroPython file, a board and a site to a board that runs: one esptool session."""
