"""Until when somebody has to answer: by the agreements, to the end of a day."""

import datetime as dt

from django.conf import settings
from django.utils import timezone

from parties.models import Party
from settlement.calendar import days_after
from settlement.models import Agreement, Dispute

SATURDAY = 5
REMINDERS = (dt.timedelta(days=3), dt.timedelta(hours=24))  # before a deadline, each once


def answer_by(dispute: Dispute, now: dt.datetime) -> dt.datetime:
    """Return until when the respondent has to answer; silence then accepts."""
    return _end_of_day(now, terms(dispute, dispute.respondent, now).dispute_answer_days)


def reply_by(dispute: Dispute, now: dt.datetime) -> dt.datetime:
    """Return until when the claimant has to reply; silence then lets the claim lapse."""
    return _end_of_day(now, terms(dispute, dispute.claimant, now).dispute_reply_days)


def credit_by(dispute: Dispute, now: dt.datetime) -> dt.datetime:
    """Return until when the CPO can send the credit itself; then the hub files it."""
    return _end_of_day(now, terms(dispute, dispute.cpo, now).dispute_credit_days)


def rule_by(now: dt.datetime) -> dt.datetime:
    """Return until when the hub promises to rule: so many working days (RULING_DAYS)."""
    day, left = timezone.localdate(now), settings.RULING_DAYS
    while left:
        day += dt.timedelta(days=1)
        left -= day.weekday() < SATURDAY
    return _end_of_day(now, (day - timezone.localdate(now)).days)


def reached(due_at: dt.datetime | None, now: dt.datetime) -> int:
    """Return how many reminders of a deadline are due, or would come too late."""
    return 0 if due_at is None else sum(due_at - now <= before for before in REMINDERS)


def terms(dispute: Dispute, party: Party, now: dt.datetime) -> Agreement:
    """Return the agreement by which a side of a dispute has to answer."""
    kind = Agreement.Kind.CPO if party == dispute.cpo else Agreement.Kind.EMSP
    return agreed(party, kind, dispute.currency, now)


def agreed(party: Party, kind: str, currency: str, now: dt.datetime) -> Agreement:
    """Return the agreement of a party in a role, or what is usual."""
    return Agreement.objects.terms(party, kind, currency, timezone.localdate(now))


def _end_of_day(now: dt.datetime, days: int) -> dt.datetime:
    return days_after(now, days + 1)
