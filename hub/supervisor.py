"""Run the hub in the foreground: `./ocn run`, or one part of it: `./ocn web`, `worker`, `beat`.

Every part is a child process with a log of its own. None outlives this process: it stops them on
SIGINT and SIGTERM, and the kernel does when it is killed.
"""

import hashlib
import http.client
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fcntl import LOCK_EX
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import connection

from hub import checks, health, metrics, services
from hub.crew import Crew, Failure, Part, crew
from hub.embedded import ServiceError
from hub.processes import complain

READY_LIMIT = 120.0  # seconds from the start of the parts to the first "ready"
SEED_LIMIT = 600.0  # seconds for the demo network
HEADER_SECONDS = 10  # for the headers of a request to arrive, and between two requests
HEADER_BYTES = 64 * 1024  # of a request's line and headers
CONNECTIONS = 4096  # of each web process; the kernel lets more wait
NO_LIMIT = float("inf")  # migrations of a large database take what they take
NO_DEMO_HINT = "next: ./ocn manage add_party FR CPO CPO 'My CPO'   (prints its registration token)"


# What the hub consists of


def module(name: str, module_name: str, *arguments: str) -> Part:
    """Return a part that runs a Python module."""
    return Part(name, (sys.executable, "-m", module_name, *arguments))


def manage(command: str, *arguments: str) -> Part:
    """Return a part that runs a management command to its end."""
    return Part(command, (sys.executable, "-m", "django", command, *arguments), ends=True)


def web() -> list[Part]:
    """Return the web server."""
    address = ("--host", settings.HOST, "--port", str(settings.PORT))
    workers = ("--workers", "2", "--workers-kill-timeout", "3", "--respawn-failed-workers")
    protocol = ("--interface", "rsgi", "--http", "1", "--no-ws", "--log-level", "warning")
    patience = ("--http1-header-read-timeout", str(HEADER_SECONDS * 1000))
    size = ("--http1-buffer-size", str(HEADER_BYTES), "--backpressure", str(CONNECTIONS))
    options = (*address, *workers, *protocol, *patience, *size)
    return [module("web", "granian", *options, "hub.rsgi:rsgi")]


def celery(name: str, *arguments: str) -> Part:
    """Return a part that runs a Celery command."""
    return module(name, "celery", "--app", "hub.celery:app", *arguments, "--loglevel", "WARNING")


def worker() -> list[Part]:
    """Return the task workers: deliveries wait for partners, documents need the processor."""
    alone = ("--without-gossip", "--without-mingle")
    deliveries = ("--queues", "deliveries", "--pool", "threads", "--concurrency", "32")
    documents = ("--queues", "documents", "--pool", "prefork", "--concurrency", "1")
    renewed = ("--max-tasks-per-child", "50")  # rendering leaves memory behind
    return [
        celery("deliveries", "worker", "-n", "deliveries@%h", *deliveries, *alone),
        celery("documents", "worker", "-n", "documents@%h", *documents, *renewed, *alone),
    ]


def beat() -> list[Part]:
    """Return the clock, of which any number may run (see `hub/beat.py`)."""
    return [celery("beat", "beat", "--scheduler", "hub.beat:OneOfMany", "--pidfile", "")]


def sandbox() -> list[Part]:
    """Return the simulated partners, if the demo network is wanted."""
    return [module("sandbox", "hub.sandbox")] if with_demo() else []


ALONE: dict[str, Callable[[], list[Part]]] = {"web": web, "worker": worker, "beat": beat}


def with_demo() -> bool:
    """Tell whether this hub shows the demo network."""
    return bool(settings.DEMO and settings.SANDBOX)


def sandbox_port() -> int:
    """Return the port of the simulated partners."""
    return int(os.environ.get("SANDBOX_PORT") or settings.PORT + 1)


def part_environment() -> dict[str, str]:
    """Return the environment of the parts: ours, with everything that we found out."""
    database_url = services.database_url(settings.DATA_DIR)
    return os.environ | {
        "DATABASE_URL": os.environ.get("DATABASE_URL") or database_url,
        "REDIS_URL": settings.REDIS_URL,
        "DATA_DIR": str(settings.DATA_DIR),
        "SANDBOX_PORT": str(sandbox_port()),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "hub.settings",
    }


def own_crew(logs: Path | None) -> AbstractContextManager[Crew]:
    """Return a crew of this project's parts."""
    return crew(part_environment(), settings.BASE_DIR, logs, loaded=True)


# The whole hub


def run() -> None:
    """Set up and run everything; return only by an exception."""
    data_dir = services.data_dir()
    with only_hub(data_dir), services.running(data_dir), own_crew(data_dir / "logs") as ours:
        check_port(settings.HOST, settings.PORT)
        if with_demo():
            check_port("127.0.0.1", sandbox_port(), "SANDBOX_PORT")
        refuse_wrong_clock()
        forget_metrics()
        ours.complete([manage("migrate", "--no-input"), *stale_static()], NO_LIMIT)
        keep_static_state()
        forget_heartbeat()
        ours.start([*web(), *worker(), *beat(), *sandbox()])
        if with_demo() and not has_demo():
            seed(ours)
        await_ok(ours, "/health/ready", settings.PORT)
        announce()
        watch(ours, data_dir)


def refuse_wrong_clock() -> None:
    """Start nothing on a host whose clock is not the database's."""
    offset = health.clock_offset()
    connection.close()
    if abs(offset) > health.CLOCK_SECONDS:
        raise Failure(f"the clock of this host is {offset:+.1f} s off that of the database")


def forget_metrics() -> None:
    """Count anew: what processes of the last time have counted is over."""
    for file in metrics.FOLDER.glob("*.db"):
        file.unlink()


def forget_heartbeat() -> None:
    """Let readiness wait for a worker of today: the last heart beat of yesterday's is kept."""
    redis.Redis.from_url(settings.REDIS_URL).delete(health.HEARTBEAT_KEY)


def watch(ours: Crew, data_dir: Path) -> NoReturn:
    """Keep everything running until we are told to stop, or cannot."""
    while True:
        ours.revive()
        try:
            services.revive(data_dir)
        except ServiceError as error:  # what worked before may work again
            complain(f"error: {error}")
        time.sleep(0.25)


def seed(ours: Crew) -> None:
    """Show the demo network: it trades with the running hub like anybody else."""
    await_ok(ours, "/health/live", settings.PORT)
    await_ok(ours, "/health", sandbox_port())
    if not demo_file().exists():
        print("building the demo network (first start only) ...", flush=True)  # noqa: T201
    ours.complete([manage("seed_demo")], SEED_LIMIT)


def has_demo() -> bool:
    """Tell whether the embedded database has its demo network; of others seed_demo finds out."""
    return demo_file().exists() and not os.environ.get("DATABASE_URL")


def demo_file() -> Path:
    """Return where the demo network describes itself."""
    return Path(settings.DATA_DIR / "demo.json")


def announce() -> None:
    """Say where the hub answers, and what to do next."""
    host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
    lines = [NO_DEMO_HINT]
    if with_demo() and demo_file().exists():
        lines = json.loads(demo_file().read_text())["lines"]
    print(f"ready http://{host}:{settings.PORT}", *lines, sep="\n", flush=True)  # noqa: T201


def await_ok(ours: Crew, path: str, port: int) -> None:
    """Wait until a part answers a path with 200."""
    ours.wait_for(f"answer of {path}", lambda: is_ok(path, port), READY_LIMIT, pause=0.2)


def is_ok(path: str, port: int) -> bool:
    """Tell whether a part answers a path with 200."""
    host = settings.HOST if port == settings.PORT else "127.0.0.1"
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": urlsplit(settings.HUB_BASE_URL).netloc})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def only_hub(data_dir: Path) -> Iterator[None]:
    """Refuse to run two hubs on the same data."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "hub.lock").open("ab") as lock:
        if not services.try_lock(lock, LOCK_EX):
            raise Failure(f"a hub is running on {data_dir} already: choose another with DATA_DIR")
        yield


def check_port(host: str, port: int, variable: str = "PORT") -> None:
    """Insist that nobody listens on our address, even if the kernel would let us share it."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            advice = f"choose another port with {variable}"
            raise Failure(f"cannot listen on {host}:{port}, {reason}: {advice}") from error


# Static files: collected again only when they changed


def static_state() -> str:
    """Return a fingerprint of all static files: of ours by their times, of others by version."""
    base = settings.BASE_DIR
    files = sorted(path for path in base.glob("*/static/**/*") if path.is_file())
    files += sorted(path for path in (base / "static").rglob("*") if path.is_file())
    facts = [(str(path.relative_to(base)), path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(
        repr(facts).encode() + (base / "requirements.lock").read_bytes()
    ).hexdigest()


def static_note() -> Path:
    """Return where the fingerprint of the collected files is kept."""
    return Path(settings.DATA_DIR / "static-state")


def stale_static() -> list[Part]:
    """Return the job that collects the static files, if it has anything to do."""
    note = static_note()
    fresh = note.exists() and note.read_text() == static_state()
    return [] if fresh else [manage("collectstatic", "--no-input", "--verbosity", "0")]


def keep_static_state() -> None:
    """Note that the collected files are those of now."""
    static_note().write_text(static_state())


# One part alone


def run_alone(name: str) -> None:
    """Run one part in the foreground until we are told to stop."""
    data_dir = services.data_dir()
    if os.environ.get("DATABASE_URL") and not os.environ.get("SECRET_KEY"):
        raise Failure("parts that share a database share a SECRET_KEY: give all of them the same")
    with services.running(data_dir), own_crew(None) as ours:
        refuse_wrong_clock()
        if name == "web":
            check_port(settings.HOST, settings.PORT)
            ours.complete(stale_static(), READY_LIMIT)
            keep_static_state()
        ours.start(ALONE[name]())
        watch(ours, data_dir)


# The command


def refuse_unsafe() -> None:
    """Start no part of a hub whose settings no hub may run with."""
    for error in checks.unsafe():
        raise Failure(f"{error.msg} {error.hint}")


def allow_connections() -> None:
    """Have files for as many connections as the web server takes, as far as that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 1024
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def stop_on_signals() -> None:
    """Let the first signal to stop end the program in good order, and ignore further ones."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(signal_number: int, frame: FrameType | None) -> NoReturn:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(0)

    for number in signals:
        signal.signal(number, leave)


def main(arguments: Sequence[str]) -> int:
    """Run the hub, or the part that is named."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    stop_on_signals()
    allow_connections()
    try:
        refuse_unsafe()
        if arguments:
            run_alone(arguments[0])
        else:
            run()
    except (Failure, ServiceError) as failure:
        complain(f"error: {failure}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
