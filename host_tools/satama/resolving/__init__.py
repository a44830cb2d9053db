"""Does a site make sense? Every name is looked up, every rule applied, every mistake told at once."""
