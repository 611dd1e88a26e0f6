"""Whether the hub is alive, and whether it can do its work."""

import functools
import time
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

HEARTBEAT_KEY = "ocn:worker-heartbeat"
HEARTBEAT_SECONDS = 30
CLOCK_SECONDS = 5.0  # that this host and the database may differ: the database's clock decides


def live(request: HttpRequest) -> JsonResponse:
    """Answer that the web process runs."""
    return JsonResponse({"live": True})


def ready(request: HttpRequest) -> JsonResponse:
    """Answer whether all that the hub needs works (503 when something does not)."""
    parts = {name: _works(check) for name, check in _CHECKS.items()}
    works = all(parts.values())
    response = JsonResponse({"ready": works, **parts}, status=200 if works else 503)
    response._has_been_logged = True  # type: ignore[attr-defined]  # "not yet" is no error
    return response


def beat_heart() -> None:
    """Note that a worker is at work; the sweep calls this every few seconds."""
    _redis().set(HEARTBEAT_KEY, str(time.time()), ex=HEARTBEAT_SECONDS)


def clock_offset() -> float:
    """Return how many seconds this host is ahead of the database; raises DatabaseError.

    The time that asking takes is counted half, so a slow network does not look like a wrong clock.
    """
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        told = cursor.fetchone()[0]
        return (before + time.time()) / 2 - float(told)


def _works(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, redis.RedisError):
        return False


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
    return True


def _clock() -> bool:
    return abs(clock_offset()) <= CLOCK_SECONDS


def _migrations() -> bool:
    """Tell whether the database is as far as this code; once it is, it stays so."""
    if not _are_applied():
        _are_applied.cache_clear()
        return False
    return True


@functools.cache
def _are_applied() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _worker() -> bool:
    return bool(_redis().exists(HEARTBEAT_KEY))


def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


_CHECKS: dict[str, Callable[[], bool]] = {
    "database": _database,
    "redis": lambda: bool(_redis().ping()),
    "worker": _worker,
    "migrations": _migrations,
    "clock": _clock,
}
