"""What stands in the way of disputing CDRs; as many queries for 500 as for one."""

import datetime as dt
from collections.abc import Iterator, Sequence

from django.db.models import Max, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from cdrs import explorer
from cdrs.models import Cdr, Period
from settlement.disputes import deadlines
from settlement.models import Agreement, CloseRun, Dispute, DisputeCdr
from settlement.models.disputes import Ask, Effect

AFTER_ANOTHER = dt.timedelta(days=14)  # to dispute what the other side has disputed until now
UNBILLED = (*Period.THAWED, Period.State.FROZEN, Period.State.STATEMENT)


def obstacles(dispute: Dispute, cdrs: Sequence[Cdr], now: dt.datetime) -> dict[int, str]:
    """Say why CDRs cannot be in a dispute that is about to be opened; those that can have none."""
    found: dict[int, str] = {}
    for key, problem in _obstacles(dispute, cdrs, now):
        found.setdefault(key, problem)
    return found


def _obstacles(
    dispute: Dispute, cdrs: Sequence[Cdr], now: dt.datetime
) -> Iterator[tuple[int, str]]:
    """Yield what stands in the way, the plainest first."""
    keys = [cdr.pk for cdr in cdrs]
    yield from ((cdr.pk, problem) for cdr in cdrs if (problem := _of_itself(cdr)))
    for key in explorer.credited(keys):
        yield key, _("it is credited already")
    items = DisputeCdr.objects.filter(cdr__in=keys)
    for key, reference in _earlier(dispute, items):
        yield key, _("it was disputed before, in %s") % reference
    if dispute.ask != Ask.EXPLANATION:
        others = items.filter(open=True).exclude(dispute__effect=Effect.NONE)
        for key, reference in others.values_list("cdr", "dispute__reference"):
            yield key, _("it is in dispute already, in %s") % reference
    for key in _too_late(dispute, cdrs, items, now):
        yield key, _("it was billed too long ago")


def _of_itself(cdr: Cdr) -> str:
    if cdr.credit or cdr.total_excl_vat < 0:
        return _("it is a credit: dispute the CDR that replaces what it takes back")
    return _("it was discarded, and is not billed") if cdr.state == Cdr.State.DISCARDED else ""


def _earlier(
    dispute: Dispute, items: QuerySet[DisputeCdr]
) -> QuerySet[DisputeCdr, tuple[int, str]]:
    """Return the claimant's disputes that stand in the way: one at a time, and one for money."""
    still = Q(open=True)
    if dispute.ask != Ask.EXPLANATION:
        still |= ~Q(dispute__ask=Ask.EXPLANATION)
    own = items.filter(still, dispute__claimant=dispute.claimant)
    return own.values_list("cdr", "dispute__reference")


def _too_late(
    dispute: Dispute, cdrs: Sequence[Cdr], items: QuerySet[DisputeCdr], now: dt.datetime
) -> Iterator[int]:
    """Yield what was billed longer ago than the agreement's days.

    What the other side has disputed until lately can be disputed a while longer.
    """
    billed = [cdr for cdr in cdrs if cdr.period and cdr.period.state not in UNBILLED]
    if not billed:
        return
    kind = Agreement.Kind.CPO if dispute.by_cpo else Agreement.Kind.EMSP
    terms = deadlines.agreed(dispute.claimant, kind, dispute.currency, now)
    since = timezone.localdate(now) - dt.timedelta(days=terms.claim_days)
    runs = CloseRun.objects.filter(period__in={cdr.period_id for cdr in billed})
    over = set(runs.filter(issued_on__lt=since).values_list("period", flat=True))
    theirs = items.filter(dispute__respondent=dispute.claimant).order_by().values("cdr")
    ended = theirs.annotate(last=Max("dispute__ended_at")).filter(last__gte=now - AFTER_ANOTHER)
    lately = set(ended.values_list("cdr", flat=True))
    for cdr in billed:
        if cdr.period_id in over and cdr.pk not in lately:
            yield cdr.pk


def can_leave(cdr: Cdr) -> bool:
    """Tell whether a CDR is not billed yet, and so can be held out of its month."""
    return cdr.period is None or cdr.period.thawed or cdr.period.state == Period.State.STATEMENT


def apart(first: Cdr, cdr: Cdr) -> str:
    """Say why a CDR does not go into one dispute with another; empty if it does."""
    if (first.owner_id, first.emsp_id) != (cdr.owner_id, cdr.emsp_id):
        return _("it is of another partner than the first: open a dispute of its own")
    if first.currency != cdr.currency:
        return _("it is in another currency than the first: open a dispute of its own")
    if can_leave(first) != can_leave(cdr):
        return _("of it and the first, one is billed already: open a dispute of its own")
    return ""
