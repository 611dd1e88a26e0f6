"""What workers do for the parties: deliver, sweep, ask again. Every task is harmless twice."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.utils import timezone

from hub import health
from parties import (
    alive,
    delivery,
    far_pages,
    journal,
    keys,
    pulling,
    registration,
    relay,
    results,
    waking,
)
from parties.models import Platform
from parties.people import letters

logger = logging.getLogger(__name__)


@shared_task(name="parties.drain")
def drain(platform_id: int) -> None:
    """Have a platform sent what it is owed by the drains of this process."""
    delivery.wake([platform_id])


@shared_task(name="parties.wake")
def wake(*platform_ids: int) -> None:
    """Have several platforms sent what they are owed by the drains of this process."""
    delivery.wake(platform_ids)


@shared_task(name="parties.sweep")
def sweep() -> None:
    """Find what is due and nobody is at, which is nothing as long as all is well, and count it.

    Retries and lost messages are found by the drains themselves, which look every second.
    """
    health.beat_heart()
    if found := delivery.unattended():
        logger.error("deliveries that no drain was at", extra={"platforms": found})
        delivery.count({"sweeper_found": len(found)})
    delivery.wake(found)


@shared_task(name="parties.reread")
def reread() -> None:
    """Read the versions of those whose answers say that they have changed."""
    due = Platform.objects.filter(reread_at__lte=timezone.now())
    for platform in due.filter(state=Platform.State.CONNECTED):
        with skipping(platform):
            registration.read_versions(platform)


@shared_task(name="parties.bring_results")
def bring_results(platform_id: int) -> None:
    """Bring a platform the results of what it has asked for."""
    results.bring(platform_id)


@shared_task(name="parties.sweep_results")
def sweep_results() -> None:
    """End what nobody waits for any more, and have the results brought that are due."""
    for platform_id in results.sweep():
        waking.start("parties.bring_results", platform_id)


@shared_task(name="parties.probe")
def probe() -> None:
    """Ask the platforms that have been silent whether they are still there."""
    alive.probe_due()


@shared_task(name="parties.pull_due")
def pull_due() -> None:
    """Have the lists read that are due."""
    pulling.start_due()


@shared_task(name="parties.pull")
def pull(platform_id: int) -> None:
    """Read the lists of a platform."""
    pulling.pull(platform_id)


@shared_task(name="parties.reconnect")
def reconnect() -> None:
    """Ask the push-only platforms whether their URL answers by now; forget what has expired."""
    keys.forget_expired()
    far_pages.forget()
    for platform in registration.push_only():
        with skipping(platform):
            registration.try_again(platform)
    reread()


@shared_task(name="parties.send_letters")
def send_letters() -> None:
    """Send the letters that are due."""
    letters.send_due()


@shared_task(name="parties.forget_exchanges")
def forget_exchanges() -> None:
    """Delete from the message journal what is older than it is kept."""
    journal.purge(settings.JOURNAL_DAYS, timezone.now())


@shared_task(name="parties.forget_errands")
def forget_errands() -> None:
    """Delete the errands that are older than they are kept."""
    relay.forget(settings.ERRAND_DAYS)


@contextmanager
def skipping(platform: Platform) -> Iterator[None]:
    """Do something with one platform; what goes wrong with it is no reason to skip the next."""
    try:
        yield
    except Exception:
        logger.exception("reconnecting failed", extra={"platform": platform.pk})


@worker_ready.connect
def begin(sender: Any, **options: Any) -> None:
    """Have the drains at work in a worker for deliveries, whether anybody wakes them or not."""
    if settings.CELERY_TASK_DEFAULT_QUEUE in sender.app.amqp.queues.consume_from:
        delivery.wake([])


@worker_shutdown.connect
def finish(**options: Any) -> None:
    """Let the drains finish what is under way."""
    delivery.finish()
