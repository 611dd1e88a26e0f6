"""The engine of this process, in threads of its own; and draining one platform here and now."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock, Thread
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.db import close_old_connections, connection

from hub.egress_loop import Door
from parties.delivery.engine import Engine

logger = logging.getLogger(__name__)
GRACE = 3.0  # seconds to finish what is under way when the process ends
_lock = Lock()
_running: "Running | None" = None


def drain(platform_id: int) -> int:
    """Send a platform what it is owed until nothing is due; return how much was sent.

    The database is asked in the thread of the caller. Returns at once when another drain of this
    platform is at work.
    """
    return async_to_sync(_drained)(platform_id)


def wake(platform_ids: Iterable[int]) -> None:
    """Have platforms drained by the engine of this process, which is started for the first."""
    running().wake(platform_ids)


def running() -> "Running":
    """Return the engine of this process, started unless it is."""
    global _running
    with _lock:
        if _running is None or _running.owner != os.getpid():
            _running = Running()
        return _running


def finish() -> None:
    """Claim nothing more, and wait a moment for what is under way."""
    if _running and _running.owner == os.getpid():
        _running.finish()


class Running:
    """An engine at work: its event loop in one thread, its database connection in another."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._database = ThreadPoolExecutor(1, thread_name_prefix="deliveries-database")
        self._engine = Engine(self._in_database)
        self._thread = Thread(target=self._run, daemon=True, name="deliveries")
        self._thread.start()

    def wake(self, platform_ids: Iterable[int]) -> None:
        """Have platforms drained."""
        self._loop.call_soon_threadsafe(self._engine.wake, list(platform_ids))

    def finish(self) -> None:
        """Let it end."""
        self._engine.stopping = True
        self._thread.join(GRACE)
        self._database.submit(connection.close)  # and with it let go of the lanes
        self._database.shutdown(wait=True)

    def _run(self) -> None:
        self._loop.run_until_complete(self._served())

    async def _served(self) -> None:
        async with Door() as door:
            while not self._engine.stopping:
                try:
                    await self._engine.serve(door)
                except Exception:
                    logger.exception("the drains start again")
                    await asyncio.sleep(1.0)

    async def _in_database(self, function: Callable[..., Any], *values: Any) -> Any:
        job = partial(_connected, function, *values)
        return await self._loop.run_in_executor(self._database, job)


def _connected(function: Callable[..., Any], *values: Any) -> Any:
    """Run a function with a connection that works, as far as is known."""
    close_old_connections()
    return function(*values)


async def _drained(platform_id: int) -> int:
    engine = Engine(_in_callers_thread, turn=0.0)
    engine.wake([platform_id])
    return await engine.drained()


async def _in_callers_thread(function: Callable[..., Any], *values: Any) -> Any:
    return await sync_to_async(function, thread_sensitive=True)(*values)
