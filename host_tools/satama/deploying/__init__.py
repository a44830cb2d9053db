"""A new application, or only a new site, onto a gateway that runs: over its console, without stopping it."""
