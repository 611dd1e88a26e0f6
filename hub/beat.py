"""The clock of the hub: any number of beats may run, one of them acts.

The acting one holds an advisory lock in PostgreSQL. The lock belongs to its connection, so when it
dies, or its host does, another takes over; without the database nobody acts, and there is nothing
to do. Nothing is kept in files: whoever begins to act runs at once what is due every few seconds or
minutes, which is harmless twice.
"""

import logging
from datetime import timedelta
from typing import Any

from celery.beat import Scheduler
from celery.schedules import crontab
from django.db import Error, connection

logger = logging.getLogger(__name__)
LOCK = (0x0CB0, 0)
STANDBY_SECONDS = 1.0
LONG_AGO = timedelta(days=1)


class OneOfMany(Scheduler):
    """Runs the schedule while it holds the lock; looks every second whether it can have it."""

    acting = False

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, and return how long to sleep, if it is ours to send."""
        try:
            self._take_or_keep()
        except Error:
            logger.warning("no database: the clock stands still")
            self.acting = False
            connection.close()
        return super().tick(*args, **kwargs) if self.acting else STANDBY_SECONDS

    def _take_or_keep(self) -> None:
        """Make sure of the lock: ask for it, or see that its connection is still there."""
        with connection.cursor() as cursor:
            if self.acting:
                cursor.execute("SELECT 1")
                return
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK)
            self.acting = bool(cursor.fetchone()[0])
        if self.acting:
            logger.info("this beat acts")
            self._begin()

    def _begin(self) -> None:
        """Make due at once what is due every so often; what has an hour of the day waits for it."""
        for entry in self.schedule.values():
            if not isinstance(entry.schedule, crontab):
                entry.last_run_at = entry.default_now() - LONG_AGO
        self._heap = None
