"""What the pages about CDRs say of disputes, which stand a floor above them."""

from collections.abc import Iterable
from typing import Any

from django import template
from django.utils import timezone

from cdrs.models import Cdr
from parties.people.access import Area, May
from parties.people.shell import Seat
from settlement.dispute_pages.words import status_of
from settlement.disputes import opening
from settlement.models import Dispute, DisputeCdr

register = template.Library()


@register.simple_tag
def may_dispute(seat: Seat) -> bool:
    """Tell whether a person may open disputes."""
    return seat.may(Area.DISPUTES, May.ACT)


@register.simple_tag
def disputed(rows: Iterable[tuple[Any, ...]] | None, seat: Seat) -> dict[int, Dispute]:
    """Return the last dispute of each CDR on a page of the explorer: one query."""
    if not rows or not seat.may(Area.DISPUTES):
        return {}
    items = DisputeCdr.objects.filter(cdr__in=[row[0].pk for row in rows]).order_by("pk")
    own = Dispute.objects.visible_to(seat.party)
    found = items.filter(dispute__in=own).select_related("dispute")
    return {item.cdr_id: item.dispute for item in found}


@register.filter
def of(found: dict[int, Dispute], cdr: Cdr) -> Dispute | None:
    """Return what was found for a CDR."""
    return found.get(cdr.pk)


@register.inclusion_tag("portal/cdr_disputes.html")
def disputes_of(cdr: Cdr, seat: Seat) -> dict[str, Any]:
    """Show the disputes about a CDR, and offer to open one, or say why not."""
    if not seat.may(Area.DISPUTES):
        return {}
    rows = Dispute.objects.visible_to(seat.party).filter(items__cdr=cdr)
    shown = [
        (row, status_of(row, seat.party))
        for row in rows.select_related("claimant", "respondent").order_by("-pk")
    ]
    may = seat.may(Area.DISPUTES, May.ACT) and cdr.emsp_id is not None and not cdr.credit
    problems = opening.problems(seat.party, [cdr], timezone.now()) if may else {}
    return {
        "seat": seat,
        "cdr": cdr,
        "shown": shown,
        "may_open": may and not problems,
        "problem": "" if shown else problems.get(cdr.pk, ""),
    }
