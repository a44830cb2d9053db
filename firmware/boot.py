# Runs before main.py on every start. The application does all the rest; this file is never replaced by an update.

import gc

# Garbage is collected so often: a heap that is walked to its end first has no large piece left. A larger heap may wait longer.
gc.threshold(max(16384, gc.mem_free() // 8))
