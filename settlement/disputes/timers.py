"""What time does to disputes: reminders, what silence decides, what the hub files itself."""

import datetime as dt
import logging
from collections.abc import Callable, Iterator

from django.db import transaction
from django.db.models import Exists, OuterRef

from cdrs.models import Cdr
from settlement.disputes import answering, deadlines, effects, telling
from settlement.disputes.moving import Kind, State, locked, note
from settlement.models import Dispute

logger = logging.getLogger(__name__)
UNANSWERED = (State.OPEN, *Dispute.CLAIMANTS_TURN)
LATE = len(deadlines.REMINDERS) + 1  # noted about the hub


def look_after(now: dt.datetime) -> int:
    """Do all that is due; return how much was done. One dispute that fails stops no other."""
    return sum(_tried(job, dispute, now) for job, dispute in _due(now))


def _due(now: dt.datetime) -> Iterator[tuple[Callable[[Dispute, dt.datetime], bool], Dispute]]:
    soon = Dispute.objects.live().filter(due_at__lte=now + max(deadlines.REMINDERS))
    for dispute in list(soon.exclude(state__in=Dispute.DECIDED).order_by("due_at", "pk")):
        yield (end if dispute.due_at and dispute.due_at <= now else remind), dispute
    claimed = Exists(Cdr.objects.filter(credit_of__disputed__dispute=OuterRef("pk")))
    undecided = Dispute.objects.filter(claimed, state__in=UNANSWERED)
    for dispute in list(undecided.order_by("pk")):
        yield notice_credits, dispute
    for dispute in list(effects.bookable(now).order_by("pk")):
        yield effects.book, dispute


def _tried(job: Callable[[Dispute, dt.datetime], bool], dispute: Dispute, now: dt.datetime) -> bool:
    try:
        return job(dispute, now)
    except Exception:
        logger.exception("a dispute cannot go on", extra={"dispute": dispute.reference})
        return False


@transaction.atomic
def end(dispute: Dispute, now: dt.datetime) -> bool:
    """Let silence decide a dispute whose deadline is over; note that the hub is late."""
    dispute = locked(dispute)
    if dispute.due_at is None or dispute.due_at > now:
        return False
    if dispute.state == State.OPEN:
        answering.accept_by_silence(dispute, now)
    elif dispute.state in Dispute.CLAIMANTS_TURN:
        answering.lapse(dispute, now)
    elif dispute.state == State.ESCALATED and _count(dispute, LATE):
        note(dispute, Kind.LATE, now)
        logger.error("the hub is late to rule", extra={"dispute": dispute.reference})
    else:
        return False
    return True


@transaction.atomic
def notice_credits(dispute: Dispute, now: dt.datetime) -> bool:
    """Take it for acceptance if the CPO has sent by OCPI what is asked for."""
    dispute = locked(dispute)
    if dispute.state not in UNANSWERED or not effects.credited(dispute):
        return False
    answering.accept_by_credit(dispute, now)
    return True


@transaction.atomic
def remind(dispute: Dispute, now: dt.datetime) -> bool:
    """Remind the side whose turn it is, three days and a day before its deadline, each once."""
    dispute = locked(dispute)
    side = dispute.turn
    if side is None or dispute.due_at is None or dispute.due_at <= now:
        return False
    level = deadlines.reached(dispute.due_at, now)
    if not _count(dispute, level):
        return False
    note(dispute, Kind.REMINDER, now, of=side, due_at=dispute.due_at)
    telling.reminded(dispute, side, last=level == len(deadlines.REMINDERS))
    return True


def _count(dispute: Dispute, level: int) -> bool:
    """Count a reminder of the present deadline; False if it was counted before."""
    rows = Dispute.objects.filter(pk=dispute.pk, reminded__lt=level)
    return bool(rows.update(reminded=level))
