"""What a party's money needs somebody for: documents to pay, CDRs that would miss the close."""

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cdrs import explorer
from cdrs.explorer import Side
from cdrs.models import Cdr, Period
from hub.portal import Need
from parties.people.access import Area, May
from parties.people.shell import Seat
from settlement import previewing
from settlement.calendar import due_at
from settlement.disputes.moving import money
from settlement.models import Document, Statement

OVERDUE = dt.timedelta(days=30)  # as long as a document is spoken of after its day


def of(seat: Seat) -> Iterator[Need]:
    """Say what is left to do about money."""
    if seat.may(Area.PAPERS):
        yield from _to_pay(seat)
    if seat.may(Area.PAPERS, May.ACT):
        yield from _to_answer(seat)
    if seat.sells and seat.may(Area.CDRS):
        yield from _held(seat)


def _to_pay(seat: Seat) -> Iterator[Need]:
    since = timezone.localdate() - OVERDUE
    rows = Document.objects.filter(party=seat.party, supplier__party=None, due_on__gte=since)
    for document in rows.filter(gross__gt=0).defer("snapshot").order_by("due_on"):
        names = {
            "number": document.number,
            "amount": f"{document.spelled(document.gross)} {document.currency}",
        }
        yield Need(
            title=_("Pay %(amount)s") % names,
            text=_("%(number)s is due, if it is not paid yet.") % names,
            button=_("See the document"),
            url=seat.url("portal_document", document_id=document.pk),
            due_at=end_of(document.due_on),
        )


def _to_answer(seat: Seat) -> Iterator[Need]:
    open_months = Period.State.STATEMENT
    rows = Statement.objects.unanswered().filter(party=seat.party, period__state=open_months)
    for statement in rows.select_related("period"):
        names = {
            "month": date_format(statement.period.month, "F Y"),
            "amount": money(statement.net, statement.currency),
        }
        yield Need(
            title=_("Approve the statement of %(month)s") % names,
            text=_("It comes to %(amount)s, net. Approve it, or say what is wrong.") % names,
            button=_("See the statement"),
            url=seat.url("portal_statement", statement_id=statement.pk),
            due_at=statement.respond_by,
            otherwise=_("Silence approves it."),
        )


def end_of(day: dt.date) -> dt.datetime:
    """Return the end of a day in the time zone of the pages."""
    return timezone.make_aware(dt.datetime.combine(day + dt.timedelta(days=1), dt.time()))


def _held(seat: Seat) -> Iterator[Need]:
    cdrs = explorer.of_party(seat.party, Side.SOLD).filter(state=Cdr.State.HELD)
    totals = explorer.totals(cdrs)
    if not totals:
        return
    count = sum(total.cdrs for total in totals)
    periods = previewing.open_periods(timezone.now())
    yield Need(
        title=ngettext("%d CDR is held", "%d CDRs are held", count) % count,
        text=_("Worth %s; not paid as long as the reason is there.")
        % ", ".join(f"{total.total:,.2f} {total.currency}" for total in totals),
        button=_("See causes"),
        url=seat.url("portal_held"),
        due_at=due_at(periods[0]) if periods else None,
        otherwise=_("What is held when the month closes is paid in a later one at best."),
        tag="held",
    )
