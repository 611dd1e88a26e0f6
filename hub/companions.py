"""Threads that a process has beside its work, each at most once."""

import os
from collections.abc import Callable
from multiprocessing.util import Finalize
from threading import Lock, Thread


class Companion:
    """A thread that runs beside the work of a process, from when it is first needed.

    A process that was forked gets one of its own. `finish` is called when the process ends.
    """

    def __init__(self, name: str, run: Callable[[], None], finish: Callable[[], None]) -> None:
        self._name, self._run, self._finish = name, run, finish
        self._lock = Lock()
        self._owner = 0  # the process whose thread is at work

    def start(self) -> None:
        """Start the thread, unless this process has it."""
        if self._owner == os.getpid():
            return
        with self._lock:
            if self._owner == os.getpid():
                return
            self._owner = os.getpid()
        Thread(target=self._run, daemon=True, name=self._name).start()
        # Unlike atexit this reaches the children of multiprocessing, as web workers are.
        Finalize(None, self._finish, exitpriority=10)
