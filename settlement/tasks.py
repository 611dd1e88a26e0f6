"""What the clearing house does in the background; every task is harmless when run twice."""

import logging
from functools import partial

from celery import shared_task
from django.utils import timezone

from cdrs.models import Period
from settlement import booking, clearing, inspecting, rendering
from settlement.banking import payouts, receivables, reminders
from settlement.disputes import effects, evidence, timers

logger = logging.getLogger(__name__)


@shared_task(name="settlement.close_due_periods")
def close_due_periods() -> None:
    """Go on with every month whose day has come; one that cannot does not stop the others."""
    for period in clearing.due(timezone.now()):
        try:
            clearing.go_on(period, now=timezone.now())
            _render(period)
        except Exception:
            logger.exception("%s cannot go on", period)


@shared_task(name="settlement.close_period")
def close_period(period_id: int) -> None:
    """Close one month to the end now, whatever the calendar says."""
    period = Period.objects.get(pk=period_id)
    clearing.settle(period, now=timezone.now())
    _render(period)


@shared_task(name="settlement.next_step")
def next_step(period_id: int, state: str) -> None:
    """Take a month's next step now, if it still is in the state in which that was asked for."""
    period = Period.objects.get(pk=period_id)
    if period.state == state:
        clearing.step(period, now=timezone.now())
        _render(period)


@shared_task(name="settlement.render")
def render(document_id: int) -> None:
    """Render one document, and let its month be settled if that was the last one."""
    rendering.render(document_id)
    period = Period.objects.get(documents=document_id)
    clearing.finish(period, now=timezone.now())


@shared_task(name="settlement.render_missing")
def render_missing() -> None:
    """Render what an interrupted close has left without files, and let those months be settled."""
    rendering.render_missing()
    for period in Period.objects.filter(state__in=[Period.State.ISSUED, Period.State.SETTLING]):
        try:
            clearing.finish(period, now=timezone.now())
        except Exception:
            logger.exception("%s cannot be finished", period)


@shared_task(name="settlement.inspect")
def inspect() -> None:
    """Check all invariants and keep what was found."""
    inspecting.inspect()


@shared_task(name="settlement.look_after_money")
def look_after_money() -> None:
    """Book what is not, move late receivables on, remind, and plan payouts; each on its own."""
    now = timezone.now()
    for job in (
        booking.post_missing,
        partial(receivables.advance, timezone.localdate(now)),
        reminders.send_due,
        partial(payouts.plan, now),
    ):
        try:
            job()
        except Exception:
            logger.exception("a part of looking after money has failed")


@shared_task(name="settlement.look_after_disputes")
def look_after_disputes() -> None:
    """Remind, let silence decide, book what was credited; and scan what a scan has not reached."""
    evidence.scan_due()
    timers.look_after(timezone.now())


@shared_task(name="settlement.watch_disputed")
def watch_disputed() -> None:
    """Hold what bills again what disputes have taken away."""
    effects.watch(timezone.now())


@shared_task(name="settlement.scan_evidence")
def scan_evidence() -> None:
    """Scan what was just added to disputes."""
    evidence.scan_due()


def _render(period: Period) -> None:
    """Spread the rendering over the workers."""
    for document in period.documents.unfinished().only("pk"):
        render.delay(document.pk)
    clearing.finish(period, now=timezone.now())
