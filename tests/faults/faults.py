"""The faults, each done to a scene while its load goes on.

What a fault promises besides the oracle it asserts itself. Every function returns when the fault
is over; what it measured it returns in words.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import psutil
import redis

from tests.faults import moods
from tests.faults.driver import Write
from tests.faults.scene import LONE, PAYERS, Scene
from tests.running import command_line, kill_all

SECONDS = float(os.environ.get("FAULT_SECONDS", "12"))  # how long a fault lasts that lasts
RECOVERY_LIMIT = 60.0
OUR_PARTS = ("web", "deliveries", "documents", "beat")


@dataclass(frozen=True)
class Fault:
    """A fault: its number in the plan, what happens, and how."""

    number: str
    title: str
    act: Callable[[Scene], str]

    @property
    def name(self) -> str:
        """Return its name on the command line."""
        return self.act.__name__


FAULTS: dict[str, Fault] = {}


def fault(number: str, title: str) -> Callable[[Callable[[Scene], str]], Callable[[Scene], str]]:
    """Put a function among the faults."""

    def listed(act: Callable[[Scene], str]) -> Callable[[Scene], str]:
        FAULTS[act.__name__] = Fault(number, title, act)
        return act

    return listed


# Parts of the hub die


@fault("F1", "kill -9 of one web worker")
def web_worker(scene: Scene) -> str:
    """Kill one of the web server's processes; the other one goes on."""
    before = web_workers(scene)
    kill_all(before[:1])
    until(lambda: len(web_workers(scene)) == len(before), RECOVERY_LIMIT)
    return answers_again(scene, 10)


@fault("F1", "kill -9 of the web server")
def web(scene: Scene) -> str:
    """Kill the web server with all its processes."""
    scene.hub.kill("web")
    return answers_again(scene, 30)


@fault("F2", "kill -9 of the worker that delivers")
def deliveries(scene: Scene) -> str:
    """Kill the Celery worker that sends, in the middle of its calls."""
    scene.hub.kill("deliveries")
    until(lambda: bool(scene.hub.pids("deliveries")), RECOVERY_LIMIT)
    return ""


@fault("F3", "kill -9 of beat and of all workers")
def beat_and_workers(scene: Scene) -> str:
    """Kill whatever finds and does work in the background."""
    for part in ("beat", "deliveries", "documents"):
        scene.hub.kill(part)
    until(lambda: all(map(scene.hub.pids, OUR_PARTS)), RECOVERY_LIMIT)
    return ""


# Redis


@fault("F4", "kill -9 of Redis")
def redis_killed(scene: Scene) -> str:
    """Kill Redis once; writers notice nothing."""
    with all_accepted(scene):
        scene.hub.kill("redis")
        until(lambda: bool(scene.hub.pids("redis")), RECOVERY_LIMIT)
        time.sleep(2)
    return ""


@fault("F4", "FLUSHALL in Redis")
def redis_flushed(scene: Scene) -> str:
    """Empty Redis, queues and all, three times."""
    with all_accepted(scene):
        for _ in range(3):
            redis.Redis.from_url(scene.hub.redis_url).flushall()
            time.sleep(1)
    return ""


@fault("F4", "Redis absent for a while")
def redis_absent(scene: Scene) -> str:
    """Kill Redis whenever it comes back; writers notice nothing."""
    with all_accepted(scene):
        over = time.monotonic() + SECONDS
        while time.monotonic() < over:
            kill_all(scene.hub.pids("redis"))
            time.sleep(0.1)
    return ""


@fault("F4", "Redis stopped (SIGSTOP)")
def redis_stopped(scene: Scene) -> str:
    """Let Redis accept connections and never answer."""
    with all_accepted(scene), stopped(scene.hub.pids("redis")):
        time.sleep(SECONDS)
    return ""


# PostgreSQL


@fault("F5", "kill -9 of all PostgreSQL processes")
def postgres(scene: Scene) -> str:
    """Kill the database; the hub says so in envelopes and is back by itself."""
    before = {part: scene.hub.pids(part)[0] for part in OUR_PARTS}
    first = len(scene.driver.writes)
    scene.hub.kill("postgres")
    told = answers_again(scene, RECOVERY_LIMIT)
    assert {part: scene.hub.pids(part)[0] for part in OUR_PARTS} == before, "a part was restarted"
    only_unavailable(scene.driver.writes[first:])
    return told


@fault("F5", "kill -9 of one PostgreSQL backend after another")
def backends(scene: Scene) -> str:
    """Kill single sessions, whereupon PostgreSQL ends all others and recovers."""
    first = len(scene.driver.writes)
    main, *_ = scene.hub.pids("postgres")
    for _ in range(2):
        found = [
            item.pid
            for item in psutil.Process(main).children()
            if " hub hub " in command_line(item)
        ]
        kill_all(found[:1])
        time.sleep(3)
    only_unavailable(scene.driver.writes[first:])
    return answers_again(scene, RECOVERY_LIMIT)


@fault("F1-5", "kill -9 of nearly everything within a second")
def everything(scene: Scene) -> str:
    """Kill Redis, the database, the workers, beat and half of the web server at once."""
    kill_all(web_workers(scene)[:1])
    for part in ("redis", "deliveries", "documents", "beat", "postgres"):
        scene.hub.kill(part)
    until(lambda: all(map(scene.hub.pids, OUR_PARTS)), RECOVERY_LIMIT)
    return answers_again(scene, RECOVERY_LIMIT)


# Receivers misbehave


@fault("F6", "thirteen receivers misbehave, each in its own way")
def receivers(scene: Scene) -> str:
    """Let all but three receivers misbehave; the others get what they are owed as before."""
    good = [*scene.named("EMSP")[:PAYERS], LONE]
    others = [name for name in scene.named("EMSP") if name not in good]
    bad = dict(zip(others, moods.MOODS, strict=True))
    before, start = memory(scene), time.time()
    with misbehaving(scene, bad):
        time.sleep(SECONDS)
        ages = delays(scene, good, start, time.time() - 1)
    grown = memory(scene) - before
    assert grown < 100, f"the worker grew by {grown:.0f} MB"
    assert ages, "the healthy receivers got nothing"
    middle, last = quantile(ages, 0.5), quantile(ages, 0.99)
    return f"{len(bad)} moods; the healthy: p50 {middle:.2f} s, p99 {last:.2f} s; {grown:+.0f} MB"


@fault("F6", "a receiver of money fails")
def payer(scene: Scene) -> str:
    """Let one who is owed sessions and CDRs answer 500 for a while."""
    with misbehaving(scene, {scene.named("EMSP")[0]: "error500"}):
        time.sleep(SECONDS)
    return ""


@fault("F7", "the network between hub and a receiver swallows everything")
def partition(scene: Scene) -> str:
    """Swallow what goes to one receiver and back; it gets all it missed afterwards."""
    scene.proxy.blackhole()
    time.sleep(SECONDS)
    scene.proxy.heal()
    return ""


@fault("F11", "a receiver is stopped (SIGSTOP) and goes on later")
def stopped_receiver(scene: Scene) -> str:
    """Stop a receiver longer than any call lasts; what it answers late counts for nothing."""
    with stopped([scene.lone.pid]):
        time.sleep(max(SECONDS, 12))
    return ""


# Everything is restarted


@fault("F14", "rolling restart of every part")
def rolling(scene: Scene) -> str:
    """Ask part after part to end in good order, the web server to renew its workers."""
    first = len(scene.driver.writes)
    for name in ("deliveries", "documents", "beat"):
        renewed(scene, name, signal.SIGTERM)
        time.sleep(1)
    workers = web_workers(scene)
    os.kill(scene.hub.pids("web")[0], signal.SIGHUP)
    until(lambda: not set(workers) & set(web_workers(scene)), 2 * RECOVERY_LIMIT)
    time.sleep(2)
    writes = scene.driver.writes[first:]
    failed = [write for write in writes if not write.accepted]
    assert len(failed) <= len(writes) * 0.005, (
        f"{len(failed)} of {len(writes)} failed: {failed[:3]}"
    )
    return f"{len(failed)} of {len(writes)} writes failed"


# What faults have in common


def until(condition: Callable[[], bool], limit: float) -> float:
    """Wait until something is so; return how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit, f"not so within {limit:.0f} s"
        time.sleep(0.1)
    return time.monotonic() - started


def answers_again(scene: Scene, limit: float) -> str:
    """Wait until the hub takes writes again, ten in a row; tell how long that took."""
    first, started = len(scene.driver.writes), time.monotonic()

    def healthy() -> bool:
        recent = scene.driver.writes[first:][-10:]
        return len(recent) == 10 and all(write.accepted for write in recent)

    until(healthy, limit + 10 / scene.driver.rate)
    failed = sum(not write.accepted for write in scene.driver.writes[first:])
    return f"well again after {time.monotonic() - started:.1f} s, {failed} writes failed"


def renewed(scene: Scene, name: str, how: signal.Signals) -> None:
    """Ask a part to end, and wait until another process has taken its place."""
    before = scene.hub.pids(name)[0]
    os.kill(before, how)

    def replaced() -> bool:
        now = scene.hub.pids(name)
        return bool(now) and now[0] != before

    until(replaced, RECOVERY_LIMIT)


def web_workers(scene: Scene) -> list[int]:
    """Return the processes of the web server that answer."""
    _, *others = scene.hub.pids("web")
    tracker = "multiprocessing.resource_tracker"
    return [pid for pid in others if tracker not in command_line(psutil.Process(pid))]


@contextmanager
def all_accepted(scene: Scene) -> Iterator[None]:
    """Insist that no write fails."""
    first = len(scene.driver.writes)
    yield
    failed = [write for write in scene.driver.writes[first:] if not write.accepted]
    assert not failed, f"{len(failed)} writes failed, for instance {failed[0]}"


def only_unavailable(writes: list[Write]) -> None:
    """Insist that what was not accepted was told to be unavailable, in an envelope."""
    for write in writes:
        said = write.status == 503 and write.code == 3000 and write.retry_after
        assert write.accepted or said, f"not a 503 in an envelope with Retry-After: {write}"


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Stop processes, and let them go on afterwards."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def misbehaving(scene: Scene, bad: Mapping[str, str]) -> Iterator[None]:
    """Put receivers in moods; afterwards they are well, and tell the hub where it has to know."""
    for name, mood in bad.items():
        scene.turn(name, mood)
    try:
        yield
    finally:
        for name in bad:
            scene.turn(name, moods.OK)
        time.sleep(1)  # the last refusals are on their way
        for name in (name for name, mood in bad.items() if mood == "wrong_token"):
            scene.renew(name)


def memory(scene: Scene) -> float:
    """Return how much the worker that delivers has in memory, in MB."""
    return sum(psutil.Process(pid).memory_info().rss for pid in scene.hub.pids("deliveries")) / 1e6


def delays(scene: Scene, names: list[str], start: float, end: float) -> list[float]:
    """Return how long it took from a write to each of some receivers, in seconds."""
    accepted = {
        (write.key, write.version): write.at
        for write in list(scene.driver.writes)
        if write.accepted and start < write.at < end
    }
    arrivals: dict[tuple[str, str, str], float] = {}
    for name in names:
        for entry in scene.receivers_of(name).ledger(name):
            for key, version in entry["versions"].items():
                arrivals.setdefault((name, key, version), float(entry["at"]))
    return sorted(
        at - accepted[key, version]
        for (_, key, version), at in arrivals.items()
        if (key, version) in accepted
    )


def quantile(values: list[float], share: float) -> float:
    """Return a quantile of sorted values."""
    assert all(one <= other for one, other in pairwise(values))
    return values[min(int(len(values) * share), len(values) - 1)]
