# Runs before main.py on every start. Nothing to do: the application does it all, and this file is never replaced by an update.
