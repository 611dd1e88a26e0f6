"""A party's payouts in the portal: where each is, and what it is made of."""

from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cdrs.telling import Status
from parties.people import trail
from parties.people.access import Area
from parties.people.shell import Seat, page, show
from settlement import exports
from settlement.models import DocumentFile, Payout, PayoutBatch, PayoutLine

ROWS = 50  # on a page
State = Payout.State


class Where(NamedTuple):
    """Where a payout is, and what comes next."""

    tag: str
    word: Promise
    next: Promise


WHERE: dict[str, Where] = {
    State.PLANNED: Where(
        "waiting", _("Scheduled"), _("A person of the hub puts it into a batch, another approves.")
    ),
    State.APPROVED: Where(
        "progress", _("Approved"), _("The payment file is made and handed to the bank.")
    ),
    State.BATCHED: Where("progress", _("In the payment file"), _("The bank gets the file.")),
    State.SUBMITTED: Where(
        "progress", _("Sent to the bank"), _("The bank pays it in a day or two.")
    ),
    State.BOOKED: Where("ok", _("Paid"), _("Nothing: the bank has paid it.")),
    State.REJECTED: Where(
        "bad", _("Rejected by the bank"), _("It is planned again once the reason is gone.")
    ),
    State.RETURNED: Where("bad", _("Returned"), _("It is planned again once the reason is gone.")),
    State.CANCELLED: Where("closed", _("Replaced"), _("Another payout has taken its place.")),
}
IN_APPROVAL = Where(
    "waiting", _("In approval"), _("A second person of the hub looks at the batch and approves it.")
)


def where_is(payout: Payout) -> Where:
    """Say where a payout is."""
    drafted = payout.batch is not None and payout.batch.state == PayoutBatch.State.DRAFT
    return IN_APPROVAL if payout.state == State.PLANNED and drafted else WHERE[payout.state]


def status_of(payout: Payout) -> Status:
    """Say that in a word."""
    where = where_is(payout)
    return Status(where.tag, where.word)


def _of(seat: Seat) -> QuerySet[Payout]:
    rows = Payout.objects.filter(party=seat.party)
    return rows.select_related("bank_account", "batch").defer("batch__file")


def account(payout: Payout) -> str:
    """Name the account that is paid to by its last four signs."""
    number = payout.bank_account.iban or payout.bank_account.account_number
    return f"… {number[-4:]}"


@require_safe
@page(Area.PAPERS)
def payouts(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show what is paid out to the party, the last first."""
    shown = Paginator(_of(seat).order_by("-pk"), ROWS).get_page(request.GET.get("page"))
    rows = [(payout, status_of(payout), account(payout)) for payout in shown]
    context = {"page": shown, "rows": rows}
    return show(request, seat, "portal/payouts.html", context, here="portal_documents")


def _one(seat: Seat, payout_id: int) -> tuple[Payout, list[PayoutLine]]:
    found = _of(seat).select_related("retry_of").filter(pk=payout_id).first()
    if found is None:
        raise Http404
    files = Prefetch("document__files", DocumentFile.objects.defer("content"))
    lines = found.lines.select_related("document__period").defer("document__snapshot")
    return found, list(lines.prefetch_related(files))


@require_safe
@page(Area.PAPERS)
def payout(request: HttpRequest, seat: Seat, payout_id: int) -> HttpResponse:
    """Show one payout: where it is, and the documents that it pays, down to the CDRs."""
    found, lines = _one(seat, payout_id)
    context: dict[str, Any] = {
        "payout": found,
        "where": where_is(found),
        "account": account(found),
        "lines": lines,
        "again": found.retries.order_by("pk").last(),
    }
    return show(request, seat, "portal/payout.html", context, here="portal_documents")


COLUMNS = ("payout", "currency", "document", "month", "amount")


@require_safe
@page(Area.PAPERS)
def advice(request: HttpRequest, seat: Seat, payout_id: int) -> HttpResponse:
    """Hand out what a payout is made of as CSV."""
    found, lines = _one(seat, payout_id)
    rows = [
        (
            *(found.end_to_end_id, found.currency, line.document.number if line.document else ""),
            *(str(line.document.period) if line.document else "", line.amount),
        )
        for line in lines
    ]
    name = f"{found.end_to_end_id}"
    trail.note(
        seat.party, Area.PAPERS, "exported", person=seat.person, subject=f"{name}.csv",
        request=request, rows=len(rows),
    )  # fmt: skip
    return exports.download(name, "csv", COLUMNS, rows)
