# Runs before main.py on every start. The application does all the rest; this file is never replaced by an update.

import gc

gc.threshold(
    16384
)  # while the application starts, garbage is collected so often: what stays must not lie scattered over the heap
