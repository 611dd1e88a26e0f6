"""The faults that need a hub of their own: another disk, network or clock, or more hosts.

Each returns the run, which is skipped, with the reason, where this machine cannot do it.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import redis

from hub import services
from hub.beat import LOCK
from hub.embedded import POSTGRES, place_of
from tests.faults.faults import (
    RECOVERY_LIMIT,
    SECONDS,
    Fault,
    answers_again,
    only_unavailable,
    until,
)
from tests.faults.proxy import Proxy, proxy
from tests.faults.running import Run, run
from tests.faults.scene import Scene, scene, status_of
from tests.running import (
    ROOT,
    RunningHub,
    free_port,
    fresh_hub,
    running_hub,
    running_part,
    running_servers,
)
from tests.services import throwaway_data_dir

DISK = 400  # MB
SWEEP = re.compile(r"parties\.sweep\b")
SKEW = 600  # seconds
LEADERS = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND granted
"""
OPEN_TRANSACTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'idle in transaction' AND state_change < now() - interval '5 seconds'
"""


class CannotBeDone(Exception):
    """This machine cannot do it; the message says why."""


STAGES: dict[str, Callable[[], Run]] = {}


def stage(number: str, title: str) -> Callable[[Callable[[Fault], Run]], Callable[[], Run]]:
    """Put a function, which does a fault with this number and title, among the stages."""

    def listed(play: Callable[[Fault], Run]) -> Callable[[], Run]:
        fault = Fault(number, title, play)  # type: ignore[arg-type] # its name is what counts

        @wraps(play)
        def played() -> Run:
            try:
                return play(fault)
            except CannotBeDone as reason:
                return Run(fault.name, number, title, skipped=str(reason))

        STAGES[play.__name__] = played
        return played

    return listed


def acted(fault: Fault, act: Callable[[Scene], str], ours: Scene) -> Run:
    """Run a fault, now that it is known what is done."""
    return replace(run(ours, replace(fault, act=act)), fault=fault.name)


# Another network


@stage("F8", "the network between hub and database swallows everything")
def database_partition(fault: Fault) -> Run:
    """Swallow what goes between the hub and its database; no transaction stays open."""
    with ExitStack() as stack:
        truth = stack.enter_context(servers())
        between = stack.enter_context(proxy(truth.socket))
        data_dir = stack.enter_context(throwaway_data_dir())
        urls = {"DATABASE_URL": truth.over(between), "REDIS_URL": truth.redis_url}
        hub = stack.enter_context(running_hub(data_dir, **urls))
        ours = stack.enter_context(staged(hub, database=truth.url))

        def act(scene: Scene) -> str:
            between.blackhole()
            time.sleep(SECONDS)
            between.heal()
            told = answers_again(scene, RECOVERY_LIMIT)
            with psycopg.connect(truth.url) as connection:
                assert connection.execute(OPEN_TRANSACTIONS).fetchone() == (0,)
            return told

        return acted(fault, act, ours)


# Another disk


@stage("F9", "the disk is full")
def disk_full(fault: Fault) -> Run:
    """Fill the disk of the database; nothing is accepted that is not kept, and it heals itself."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk())
        hub = stack.enter_context(running_hub(disk))
        ours = stack.enter_context(staged(hub))

        def act(scene: Scene) -> str:
            first, ballast = len(scene.driver.writes), disk / "ballast"
            over = time.monotonic() + SECONDS
            while time.monotonic() < over:  # what the database frees is taken again
                fill(ballast)
                time.sleep(0.5)
            writes = scene.driver.writes[first:]
            ballast.unlink()
            told = answers_again(scene, RECOVERY_LIMIT)
            only_unavailable(scene.driver.writes[first:])
            refused = sum(not write.accepted for write in writes)
            assert refused, "the disk was never full"
            return f"{refused} of {len(writes)} writes refused; {told}"

        return acted(fault, act, ours)


@contextmanager
def small_disk() -> Iterator[Path]:
    """Have a data folder on a disk of its own, which is small."""
    if os.geteuid() != 0:
        raise CannotBeDone("only root can mount a small disk")
    with throwaway_data_dir() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=711", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True).returncode:
            raise CannotBeDone("no disk can be mounted here")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Take all the room there is."""
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(b"\0" * 1_000_000):
            pass
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass


# Another clock


@stage("F10", "the clocks of two more workers are ten minutes off")
def clocks(fault: Fault) -> Run:
    """Let a worker ten minutes ahead and one behind take part in the deliveries."""
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        raise CannotBeDone("libfaketime is not installed")
    with ExitStack() as stack:
        hub = stack.enter_context(fresh_hub())
        ours = stack.enter_context(staged(hub))

        def act(scene: Scene) -> str:
            with skewed(hub, library, SKEW), skewed(hub, library, -SKEW):
                time.sleep(2 * SECONDS)
            return f"{SKEW:+} s and {-SKEW:+} s"

        return acted(fault, act, ours)


@contextmanager
def skewed(hub: RunningHub, library: Path, seconds: int) -> Iterator[None]:
    """Have one more worker for deliveries, with a wrong clock."""
    faked = {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+}s"}
    faked |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    options = ("--queues", "deliveries", "--pool", "threads", "--concurrency", "8")
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    name = ("-n", f"skewed{seconds}@%h")
    worker = [sys.executable, "-m", "celery", "--app", "hub.celery:app", "worker"]
    with subprocess.Popen(
        [*worker, *name, *options, *alone, "--loglevel", "ERROR"],
        cwd=ROOT,
        env=hub.environment | faked,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


# More hosts


@stage("F1-3", "two webs, two workers, two beats; one of each is killed")
def machines(fault: Fault) -> Run:
    """Run every part twice, each as a host of its own would, and kill one of each kind."""
    with ExitStack() as stack:
        truth = stack.enter_context(servers())
        fleet = stack.enter_context(two_of_everything(truth))
        ours = stack.enter_context(staged(fleet.hub, database=truth.url))

        def act(scene: Scene) -> str:
            acting = fleet.acting_beat()
            beats = fleet.sweeps_in(6)
            assert 2 <= beats <= 5, f"{beats} sweeps in 6 s: more than one beat acts, or none"
            for name in ("web-a", "worker-a", acting):
                fleet.kill(name)
            taken = until(lambda: fleet.acting_beats() == {OTHER[acting]}, 20)
            assert fleet.sweeps_in(6) >= 2, "the schedule does not go on"
            failed = [write for write in scene.driver.writes if not write.accepted]
            return f"the other beat acts after {taken:.1f} s; {len(failed)} writes failed"

        return acted(fault, act, ours)


OTHER = {"beat-a": "beat-b", "beat-b": "beat-a"}


class Servers:
    """A database and a Redis that no hub owns."""

    def __init__(self, data_dir: Path) -> None:
        self.url = services.database_url(data_dir)
        self.redis_url = services.redis_url(data_dir)
        self.socket = str(place_of(data_dir).sockets / POSTGRES.socket)

    def over(self, between: Proxy) -> str:
        """Return the URL of the database behind a proxy."""
        return f"postgresql://hub@127.0.0.1:{between.port}/hub"


@contextmanager
def servers() -> Iterator[Servers]:
    """Have a database and a Redis."""
    with throwaway_data_dir() as data_dir, running_servers(data_dir):
        yield Servers(data_dir)


class Fleet:
    """Parts on their own, as on several hosts, behind a load balancer."""

    def __init__(self, truth: Servers, hub: RunningHub, parts: dict[str, Any]) -> None:
        self.truth, self.hub, self.parts = truth, hub, parts

    def acting_beats(self) -> set[str]:
        """Return the beats that act, by their names."""
        with psycopg.connect(self.truth.url) as connection:
            return {name for (name,) in connection.execute(LEADERS, LOCK)}

    def acting_beat(self) -> str:
        """Wait until a beat acts and return which; it is one."""
        until(lambda: bool(self.acting_beats()), RECOVERY_LIMIT)
        (acting,) = self.acting_beats()
        return acting

    def sweeps_in(self, seconds: float) -> int:
        """Count how often the sweep is sent in some seconds."""
        found, over = 0, time.monotonic() + seconds
        with redis.Redis.from_url(self.truth.redis_url).monitor() as monitor:
            while time.monotonic() < over:
                said = monitor.next_command()["command"]
                found += said.startswith("LPUSH deliveries") and bool(SWEEP.search(said))
        return found

    def kill(self, name: str) -> None:
        """Kill a part with its supervisor, as when its host is gone."""
        os.killpg(self.parts[name].pid, signal.SIGKILL)


@contextmanager
def two_of_everything(truth: Servers) -> Iterator[Fleet]:
    """Run two webs, two workers and two beats with separate data folders."""
    shared = {"REDIS_URL": truth.redis_url, "SECRET_KEY": "shared by all hosts", "DEMO": "0"}
    ports = {"web-a": free_port(), "web-b": free_port()}
    with ExitStack() as stack:
        targets = [("127.0.0.1", port) for port in ports.values()]
        balancer = stack.enter_context(proxy(*targets))
        shared |= {"HUB_BASE_URL": balancer.url}
        parts, folder = {}, Path()
        environment = os.environ | shared | {"DATABASE_URL": truth.url}
        migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        for name in ("web-a", "web-b", "worker-a", "worker-b", "beat-a", "beat-b"):
            folder = stack.enter_context(throwaway_data_dir())
            own = {"DATABASE_URL": f"{truth.url}&application_name={name}"}
            own |= {"PORT": str(ports.get(name, free_port()))}
            kind = name.partition("-")[0]
            parts[name] = stack.enter_context(running_part(kind, folder, **shared, **own))
        hub = RunningHub(balancer.url, environment | {"DATA_DIR": str(folder)}, 0, [])
        until(lambda: status_of(hub, "/health/ready") == 200, 120)
        yield Fleet(truth, hub, parts)


@contextmanager
def staged(hub: RunningHub, database: str = "") -> Iterator[Scene]:
    """Have a small scene with a hub."""
    with (
        TemporaryDirectory() as folder,
        scene(hub, Path(folder), emsps=4, database=database) as ours,
    ):
        yield ours
