"""Where the Python parts of the hub are born: from a process that has loaded the code already.

Loading Django and the apps takes each part two to four seconds of processor time. So one process
loads them while the servers start and the database is migrated, and every part is a fork of it (the
fork server of `multiprocessing`): born in a tenth of a second, also when it is started again. The
process has no threads, no connections and no files of ours, so its children inherit none.

A part belongs to it: it gets SIGTERM when that process ends, which ends when we do.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import TypeAlias

from setproctitle import setproctitle

from hub.processes import Process, die_with_parent, open_log

LOADED = ["hub.loaded"]  # what the first process has loaded
MODULE = "-m"


class Fork:
    """A part, with as much of the interface of `subprocess.Popen` as we need."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Return how it ended, a signal as a negative number; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0)
        return self._process.exitcode


Born: TypeAlias = "Process | Fork"


def open_nursery(environment: Mapping[str, str]) -> None:
    """Begin to load the code, with this environment; do not wait for it."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(LOADED)
    with _environment(environment):
        ensure_running()


def can_bear(command: Sequence[str]) -> bool:
    """Tell whether a command is one of Python that runs a module."""
    return tuple(command[:2]) == (sys.executable, MODULE)


def bear(command: Sequence[str], *, log: Path | None, env: Mapping[str, str], cwd: Path) -> Fork:
    """Start `python -m MODULE ARGUMENT ...` as `processes.spawn` does, only sooner.

    The environment is the one that the nursery was opened with.
    """
    context = multiprocessing.get_context("forkserver")
    arguments = (tuple(command[2:]), str(log) if log else None, str(cwd))
    process = context.Process(target=_live, args=arguments, name=command[2])
    with _environment(env):  # of a nursery that has to be opened again
        process.start()
    return Fork(process)


def _live(command: Sequence[str], log: str | None, folder: str) -> None:
    """Become a part: in a session and process group of our own, writing to its log."""
    die_with_parent(os.getppid(), signal.SIGTERM)
    os.setsid()
    with open_log(Path(log)) if log else nullcontext() as output:
        if output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
    os.chdir(folder)
    setproctitle(" ".join((sys.executable, MODULE, *command)))
    sys.argv = list(command)
    multiprocessing.set_start_method("fork", force=True)  # web workers have the code too
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which processes of multiprocessing leave out


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Have another environment for a moment."""
    before, during = dict(os.environ), dict(wanted)  # a copy: it may be os.environ itself
    os.environ.clear()
    os.environ.update(during)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
