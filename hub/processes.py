"""Child processes that never outlive us, and the logs they write."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

LOG_LIMIT = 10_000_000  # bytes; a longer log is put aside when its process starts
TAIL_LIMIT = 4_000  # bytes
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

Process: TypeAlias = "subprocess.Popen[bytes]"


def open_log(path: Path) -> BinaryIO:
    """Open the log of a process for appending, putting a long one aside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented."""
    if not path.exists():
        return "    (no log)"
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - TAIL_LIMIT))
        text = log.read().decode(errors="replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def die_with_parent(parent: int, last_signal: signal.Signals) -> None:
    """Ask the kernel, between fork and exec, to signal us when our parent dies."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, last_signal)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(1)


def mortal(last_signal: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return the `preexec_fn` of a child that gets a signal when we die, even by SIGKILL."""
    return partial(die_with_parent, os.getpid(), last_signal)


def spawn(command: Sequence[str], *, log: Path | None, **options: Any) -> Process:
    """Start a child out of reach of Ctrl-C, writing to a log or else where we write.

    It leads a process group of its own. The options are those of `subprocess.Popen`.
    """
    with open_log(log) if log else nullcontext() as output:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **options,
        )


def end(child: Process, politely: signal.Signals, patience: float) -> None:
    """Stop a child: politely, then with SIGQUIT, then with its whole group."""
    for last, wait in ((politely, patience), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
        if child.poll() is None:
            child.send_signal(last)
        try:
            child.wait(wait)
            break
        except subprocess.TimeoutExpired:
            continue
    kill_group(child.pid)


def kill_group(leader: int) -> None:
    """Kill what is left of the process group of a child that was its leader."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def complain(message: str) -> None:
    """Tell the operator of a trouble."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201
