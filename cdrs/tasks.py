"""What workers do for sessions and CDRs; every task is harmless when run twice."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from cdrs import authorizing, judging, norms, waiting
from cdrs.models import Verdict


@shared_task(name="cdrs.judge")
def judge(cdr_id: int) -> None:
    """Judge a CDR whose price took too long for its request."""
    list(judging.rejudge([cdr_id], Verdict.Cause.LATER, timezone.now()))


@shared_task(name="cdrs.judge_waiting")
def judge_waiting() -> None:
    """Find the CDRs whose price is still waited for, though nobody was woken for them."""
    list(judging.rejudge(waiting.unpriced(), Verdict.Cause.LATER, timezone.now()))


@shared_task(name="cdrs.retry_held")
def retry_held() -> None:
    """Judge once more, for 90 days, what is held for want of something that may be there now."""
    now = timezone.now()
    list(judging.rejudge(waiting.retried(now), Verdict.Cause.RETRY, now))


@shared_task(name="cdrs.learn_norms")
def learn_norms() -> None:
    """Measure what is usual."""
    norms.learn(timezone.now())


@shared_task(name="cdrs.forget_authorizations")
def forget_authorizations() -> None:
    """Delete what eMSPs have said of tokens when it is older than it is kept."""
    authorizing.forget(settings.AUTHORIZATION_DAYS)
