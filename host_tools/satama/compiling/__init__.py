"""From a resolved site to the bytes that the device loads."""
