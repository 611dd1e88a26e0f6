"""Held CDRs that wait for something: for their price, or for what somebody has yet to complete."""

import datetime as dt

from django.db.models import QuerySet

from cdrs import rules
from cdrs.models import Cdr, Finding

RETRIED_FOR = dt.timedelta(days=90)


def unpriced() -> QuerySet[Finding, int]:
    """Return the CDRs that have yet to be priced."""
    return _held_for(["priced_later"])


def retried(now: dt.datetime) -> QuerySet[Finding, int]:
    """Return the CDRs of the last 90 days that are held for want of something.

    Older ones stay held until a person decides: nothing is dropped silently.
    """
    codes = [code for code, rule in rules.by_code().items() if rule.retried]
    return _held_for(codes).filter(cdr__received_at__gt=now - RETRIED_FOR)


def _held_for(codes: list[str]) -> QuerySet[Finding, int]:
    findings = Finding.objects.filter(
        code__in=codes,
        severity=Finding.Severity.HOLD,
        cleared_at=None,
        cdr__state=Cdr.State.HELD,
    )
    return findings.order_by("cdr").values_list("cdr", flat=True).distinct()
