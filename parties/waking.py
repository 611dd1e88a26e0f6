"""Waking the workers: by the name of a task, so that nobody has to import it; now, or soon.

A message that is lost costs time and nothing else: beat finds the same work in the database.
"""

import logging
import random
from collections.abc import Iterable
from datetime import datetime, timedelta

from celery import current_app
from django.utils import timezone
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def wake(platform_ids: Iterable[int]) -> None:
    """Have platforms drained now, with one message for however many: a partner waits for us."""
    match list(platform_ids):
        case []:
            return
        case [only]:
            start("parties.drain", only)
        case several:
            start("parties.wake", *several)


def spread(platform_ids: Iterable[int]) -> None:
    """Start a drain for each platform, until nobody is told any more."""
    for platform_id in platform_ids:
        if not start("parties.drain", platform_id):
            return


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
