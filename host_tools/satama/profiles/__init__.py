"""Device types: what a profile may say, whether it makes sense, and where profiles lie."""
