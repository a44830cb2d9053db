"""Where a point comes from and what becomes of it: in words, and as the picture of a day."""
