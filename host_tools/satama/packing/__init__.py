"""What goes onto the board beside the site: the application made small, its slot, the filesystem."""
