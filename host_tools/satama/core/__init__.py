"""What every room may know: where files lie, how mistakes are told, quantities and exact numbers, progress."""
