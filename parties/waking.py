"""Waking the workers: by the name of a task, so that nobody has to import it.

A message that is lost costs time and nothing else: beat finds the same work in the database.
"""

import logging
from collections.abc import Iterable

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def wake(platform_ids: Iterable[int]) -> None:
    """Have platforms drained now."""
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
