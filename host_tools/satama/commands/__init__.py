"""The commands: one module each, for words, options and exit codes. All work is done in the rooms that they call."""
