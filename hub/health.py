"""Whether the hub is alive, and whether it can do its work."""

import time
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

HEARTBEAT_KEY = "ocn:worker-heartbeat"
HEARTBEAT_SECONDS = 30


def live(request: HttpRequest) -> JsonResponse:
    """Answer that the web process runs."""
    return JsonResponse({"live": True})


def ready(request: HttpRequest) -> JsonResponse:
    """Answer whether database, Redis and a worker do (503 when one does not)."""
    parts = {name: _works(check) for name, check in _CHECKS.items()}
    works = all(parts.values())
    response = JsonResponse({"ready": works, **parts}, status=200 if works else 503)
    response._has_been_logged = True  # type: ignore[attr-defined]  # "not yet" is no error
    return response


def beat_heart() -> None:
    """Note that a worker is at work; the sweep calls this every few seconds."""
    _redis().set(HEARTBEAT_KEY, str(time.time()), ex=HEARTBEAT_SECONDS)


def _works(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, redis.RedisError):
        return False


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
    return True


def _worker() -> bool:
    return bool(_redis().exists(HEARTBEAT_KEY))


def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


_CHECKS: dict[str, Callable[[], bool]] = {
    "database": _database,
    "redis": lambda: bool(_redis().ping()),
    "worker": _worker,
}
