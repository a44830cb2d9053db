"""Who has made progress, and who is late. Pure: the time comes from `clock`."""


class Watch:
    """`clock` has uptime_ms()."""

    def __init__(self, clock):
        self._clock = clock
        self._tasks = []

    def task(self, name, limit_ms):
        """What a task calls whenever it has made progress: alive(). It must do so again within `limit_ms`.

        alive(False): it waits for something from outside now, which may take for ever; its time runs again from the next alive() on.
        """
        for task in self._tasks:
            if task.name == name:  # it began anew
                self._tasks.remove(task)
                break
        task = _Task(name, limit_ms, self._clock)
        self._tasks.append(task)
        return task.alive

    def late(self):
        """(name, ms since its last progress) of the task that is late, the latest of several; None while there is none."""
        now = self._clock.uptime_ms()
        worst, worst_ms = None, 0
        for task in self._tasks:
            over_ms = now - task.since_ms - task.limit_ms
            if task.busy and over_ms > worst_ms:
                worst, worst_ms = task, over_ms
        return worst and (worst.name, now - worst.since_ms)


class _Task:
    def __init__(self, name, limit_ms, clock):
        self.name = name
        self.limit_ms = limit_ms
        self._clock = clock
        self.alive()

    def alive(self, busy=True):
        self.busy = busy
        self.since_ms = self._clock.uptime_ms()
