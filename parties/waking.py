"""Waking the workers: by the name of a task, so that nobody has to import it; now, or soon.

A message that is lost costs time and nothing else: beat finds the same work in the database.

A message costs half a millisecond, and a push owes something to every receiver: so drains are
woken by a thread of the process, at once when it has been quiet, and else all that came within
PAUSE together.
"""

import logging
import random
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from threading import Event, Lock

from celery import current_app
from django.utils import timezone
from kombu.exceptions import OperationalError

from hub.companions import Companion

logger = logging.getLogger(__name__)
PAUSE = 0.02  # seconds between two messages about drains, from one process


class Bell:
    """The platforms that one process has to wake, and the thread that does."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: set[int] = set()
        self._rung = Event()
        self._ringer = Companion("waking", self._run, self._tell)

    def ring(self, platform_ids: Iterable[int]) -> None:
        """Have platforms drained now: a partner waits for us."""
        with self._lock:
            self._waiting.update(platform_ids)
            if not self._waiting:
                return
        self._ringer.start()
        self._rung.set()

    def _run(self) -> None:
        while self._rung.wait():
            self._rung.clear()
            try:
                self._tell()
            except Exception:
                logger.exception("the workers could not be woken: the work waits for beat")
            time.sleep(PAUSE)

    def _tell(self) -> None:
        """Send one message for however many platforms wait."""
        with self._lock:
            waiting, self._waiting = sorted(self._waiting), set()
        match waiting:
            case []:
                return
            case [only]:
                start("parties.drain", only)
            case several:
                start("parties.wake", *several)


_bell = Bell()
wake = _bell.ring


def start(task: str, *arguments: int) -> bool:
    """Start a task; return whether somebody was told, which without Redis nobody is."""
    try:
        current_app.send_task(task, arguments, retry=False)
    except OperationalError:
        logger.warning("Redis is absent: the work waits for beat", extra={"task": task})
        return False
    return True


def soon(seconds: float) -> datetime:
    """Return an instant so many seconds ahead, or somewhat before: not everything at once."""
    return timezone.now() + timedelta(seconds=seconds * random.uniform(0.7, 1.0))  # noqa: S311
