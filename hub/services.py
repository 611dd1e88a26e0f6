"""The embedded PostgreSQL and Redis-compatible server of a data folder.

A server lives exactly as long as somebody uses it. Every user holds a shared lock on it; its
parent, a keeper process (`python -m hub.services`), waits for the exclusive lock, which the kernel
grants when the last user is gone, however it went. So commands may come and go in any order, and
no server outlives them. One that dies before that is started again, for as long as it takes: a full
disk will have room again. One that never worked is given up, so that whoever starts it is told.

The locks are files in the folder `embedded` of the data folder: `NAME.users` as told,
`NAME.keeper` held by a keeper for life, `starting` held while servers are started.
"""

import fcntl
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn
from urllib.parse import quote

from hub.embedded import REDIS, SERVERS, Place, Server, ServiceError, as_server, place_of, settle
from hub.processes import Process, complain, end, mortal, spawn, tail

BASE_DIR = Path(__file__).resolve().parent.parent
START_LIMIT = 300.0  # seconds: the recovery of a large database takes its time
STOP_LIMIT = 4.0  # seconds, then less politely
PROVEN = 2.0  # seconds that a server lives to be worth starting again when it dies
LONGEST_PAUSE = 5.0  # seconds between two tries to start it again


def data_dir() -> Path:
    """Return the data folder that the environment names."""
    return Path(os.environ.get("DATA_DIR") or BASE_DIR / ".data").resolve()


def database_url(data_dir: Path) -> str:
    """Return the URL of the embedded PostgreSQL of a data folder; valid once it is running."""
    return f"postgresql://hub@/hub?host={quote(str(place_of(data_dir).sockets))}&port=5432"


def redis_url(data_dir: Path) -> str:
    """Return the URL of the embedded Redis-compatible server; valid once it is running."""
    return f"unix://{quote(str(place_of(data_dir).sockets / REDIS.socket))}"


def log_of(server: Server, data_dir: Path) -> Path:
    """Return the log of a server and its keeper."""
    return data_dir / "logs" / f"{server.name}.log"


def wanted() -> list[Server]:
    """Return the servers that the environment does not name elsewhere."""
    return [server for server in SERVERS if not os.environ.get(server.variable)]


@contextmanager
def running(data_dir: Path, *, durable: bool = True) -> Iterator[None]:
    """Use the servers that the environment does not name elsewhere, starting those not running.

    On leaving, those that nobody else uses are stopped. Raises ServiceError.
    """
    home, servers = data_dir / "embedded", wanted()
    if servers:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise ServiceError(f"{home} belongs to another user")
    with ExitStack() as uses:
        for server in servers:
            uses.enter_context(using(server, home))
        if not all(answers(server, place_of(data_dir)) for server in servers):
            start(servers, data_dir, durable)
        yield


@contextmanager
def using(server: Server, home: Path) -> Iterator[None]:
    """Hold the lock that keeps a server alive; on leaving as the last user, see the server gone."""
    users = (home / f"{server.name}.users").open("ab")
    fcntl.flock(users, fcntl.LOCK_SH)
    try:
        yield
    finally:
        # Asking lets go for a moment; if the keeper is quicker, nobody can share any more.
        alone = try_lock(users, fcntl.LOCK_EX) or not try_lock(users, fcntl.LOCK_SH)
        users.close()
        if alone:
            wait_until(lambda: not is_kept(server, home), 3 * STOP_LIMIT)


def start(servers: Sequence[Server], data_dir: Path, durable: bool) -> None:
    """Start the keepers of those servers that do not answer, and wait until all do."""
    home = data_dir / "embedded"
    with locked(home / "starting", fcntl.LOCK_EX):
        missing = [server for server in servers if not answers(server, place_of(data_dir))]
        if missing:
            settle(data_dir)
        keepers = [launch_keeper(server, data_dir, durable) for server in missing]
        for server, keeper in zip(missing, keepers, strict=True):
            await_answer(server, data_dir, keeper)


def launch_keeper(server: Server, data_dir: Path, durable: bool) -> Process:
    """Start the keeper of a server: it serves all users alike, so it does not die with us."""
    command = [sys.executable, "-m", "hub.services", server.name, str(data_dir), str(int(durable))]
    return spawn(command, log=log_of(server, data_dir), cwd=BASE_DIR)


def await_answer(server: Server, data_dir: Path, keeper: Process) -> None:
    """Wait until a server answers, as long as somebody keeps it."""
    home, place = data_dir / "embedded", place_of(data_dir)

    def settled() -> bool:
        lost = keeper.poll() is not None and not is_kept(server, home)
        return lost or answers(server, place)

    wait_until(settled, START_LIMIT)
    if not answers(server, place):
        log = log_of(server, data_dir)
        raise ServiceError(f"{server.name} did not start; the end of {log}:\n{tail(log)}")


def answers(server: Server, place: Place) -> bool:
    """Ask a server whether it is ready for work."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(place.sockets / server.socket))
            connection.sendall(server.question)
            reply = b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return False
    return reply.startswith(server.answer)


def is_kept(server: Server, home: Path) -> bool:
    """Tell whether a server has a living keeper."""
    with (home / f"{server.name}.keeper").open("ab") as keeper:
        return not try_lock(keeper, fcntl.LOCK_SH)


def are_kept(data_dir: Path) -> bool:
    """Tell whether the embedded servers in use are still there."""
    return not unkept(data_dir)


def unkept(data_dir: Path) -> list[Server]:
    """Return the servers in use that have no keeper."""
    return [server for server in wanted() if not is_kept(server, data_dir / "embedded")]


def revive(data_dir: Path) -> None:
    """Start what lost its keeper again; raises ServiceError when that fails.

    A server that loses its keeper stops by itself, which may not be done yet.
    """
    if lost := unkept(data_dir):
        wait_until(lambda: not any(answers(item, place_of(data_dir)) for item in lost), STOP_LIMIT)
        start(lost, data_dir, durable=True)


def discard(data_dir: Path) -> None:
    """Delete a data folder whose servers are stopped, with what it keeps elsewhere."""
    place = place_of(data_dir)
    for folder in (place.sockets, place.files, data_dir):
        shutil.rmtree(folder, ignore_errors=True)


# The keeper


def keep(server: Server, data_dir: Path, durable: bool) -> None:
    """Run a server until the last of its users is gone, starting it again when it dies."""
    home, place = data_dir / "embedded", place_of(data_dir)
    for_life = os.open(home / f"{server.name}.keeper", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(for_life, fcntl.LOCK_EX)  # never closed, so it goes when this process is gone
    with (home / f"{server.name}.users").open("ab") as users:
        if try_lock(users, fcntl.LOCK_EX):  # all of them left while we waited for another keeper
            return
        server.prepare(place, durable)
        signal.signal(signal.SIGTERM, leave)
        pause, proven = 0.1, False
        while (lived := live(server, place, durable, users)) is not None:
            proven = proven or lived > PROVEN
            if not proven:
                raise SystemExit(1)
            pause = 0.1 if lived > PROVEN else min(2 * pause, LONGEST_PAUSE)
            complain(f"{server.name} ended: starting it again in {pause:.1f} s")
            time.sleep(pause)


def live(server: Server, place: Place, durable: bool, users: BinaryIO) -> float | None:
    """Run a server; return how long it lived when it died, nothing when its users are gone."""
    command, born = server.command(place, durable), time.monotonic()
    process = spawn(command, log=None, preexec_fn=mortal(server.stop), **as_server(place))
    try:
        while process.poll() is None:
            if try_lock(users, fcntl.LOCK_EX):
                return None
            time.sleep(0.1)
        return time.monotonic() - born
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end(process, server.stop, STOP_LIMIT)
        signal.signal(signal.SIGTERM, leave)


def leave(signal_number: int, frame: FrameType | None) -> NoReturn:
    """Leave the keeper's wait: we are told to stop."""
    raise SystemExit(0)


# Locks


@contextmanager
def locked(path: Path, kind: int) -> Iterator[BinaryIO]:
    """Hold a lock on a file, waiting for it."""
    with path.open("ab") as lock:
        fcntl.flock(lock, kind)
        yield lock


def try_lock(lock: BinaryIO, kind: int) -> bool:
    """Take or change a lock unless somebody is in the way."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until(condition: Callable[[], bool], limit: float) -> None:
    """Wait until something is so, but not for ever."""
    deadline = time.monotonic() + limit
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


if __name__ == "__main__":
    name, folder, durable = sys.argv[1:]
    keep(next(server for server in SERVERS if server.name == name), Path(folder), durable == "1")
