"""What workers do for the parties: deliver, sweep, ask again. Every task is harmless twice."""

import logging

from celery import shared_task
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
    """Find what is owed and nobody was woken for (a lost message, an expired lease, a retry)."""
    health.beat_heart()
    waking.wake(delivery.platforms_due())


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
        _try_again(platform)


@shared_task(name="parties.forget_exchanges")
def forget_exchanges() -> None:
    """Delete from the message journal what is older than it is kept."""
    journal.purge(settings.JOURNAL_DAYS, timezone.now())


@shared_task(name="parties.forget_errands")
def forget_errands() -> None:
    """Delete the errands that are older than they are kept."""
    relay.forget(settings.ERRAND_DAYS)


def _try_again(platform: Platform) -> None:
    """Ask one platform; whatever goes wrong with it is no reason to skip the next."""
    try:
        registration.try_again(platform)
    except Exception:
        logger.exception("reconnecting failed", extra={"platform": platform.pk})
