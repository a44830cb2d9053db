"""At the broker: topics become streams, samples in order and without duplicates, an account of what is missing, files."""
