"""Many cabinets from one table: who each board is, what it keeps secret, which of them are done, and their labels."""
