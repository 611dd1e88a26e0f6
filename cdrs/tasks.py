"""What workers do for sessions and CDRs; every task is harmless when run twice."""

from celery import shared_task
from django.conf import settings

from cdrs import authorizing


@shared_task(name="cdrs.forget_authorizations")
def forget_authorizations() -> None:
    """Delete what eMSPs have said of tokens when it is older than it is kept."""
    authorizing.forget(settings.AUTHORIZATION_DAYS)
