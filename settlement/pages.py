"""The money of a party in the portal: what this month would be, and its documents."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from cdrs import explorer, telling
from cdrs.explorer import Side
from cdrs.models import Cdr, Period
from cdrs.pages import side_of, sides_of
from hub import portal
from parties.people import trail
from parties.people.access import Area
from parties.people.shell import Seat, page, show
from settlement import previewing
from settlement.calendar import due_at
from settlement.models import DisputeCdr, Document, DocumentFile
from settlement.models.disputes import Effect

ROWS = 50  # documents on a page


@require_safe
@page(Area.PAPERS)
def preview(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show what would be billed if an open month closed now, and what stands in the way."""
    now, side = timezone.now(), side_of(request, seat)
    periods = previewing.open_periods(now)
    period = _chosen(periods, request.GET.get("month", ""))
    context: dict[str, Any] = {"side": side, "sides": sides_of(seat), "periods": periods}
    if period:
        context |= {"period": period, "closes_at": due_at(period), "now": now}
        sheets = previewing.preview(seat.party, side, period, now)
        context["totals"] = previewing.totals(sheets) if len(sheets) > 1 else {}
        context["sheets"] = [
            {"sheet": sheet, "left": [(line, _reasons(line, side)) for line in sheet.left]}
            for sheet in sheets
        ]
        context["held"] = _held(seat, side, period)
        context["disputed"] = _disputed(seat, side, period)
    return show(request, seat, "portal/preview.html", context, here="portal_preview")


def _chosen(periods: list[Period], month: str) -> Period | None:
    for period in periods:
        if str(period) == month:
            return period
    return periods[-1] if periods else None


def _reasons(line: previewing.Line, side: Side) -> list[tuple[Any, Any]]:
    return [(telling.rule_in_words(code), telling.remedy(code, side)) for code in line.reasons]


def _held(seat: Seat, side: Side, period: Period) -> list[explorer.Total]:
    """Return what is held of the month and of those before it."""
    cdrs = explorer.of_party(seat.party, side)
    return explorer.totals(cdrs.filter(state=Cdr.State.HELD, month__lte=period.month))


def _disputed(seat: Seat, side: Side, period: Period) -> list[explorer.Total]:
    """Return what of that a dispute holds."""
    holding = DisputeCdr.objects.filter(cdr=OuterRef("pk"), open=True, dispute__effect=Effect.HOLD)
    cdrs = explorer.of_party(seat.party, side).filter(Exists(holding))
    return explorer.totals(cdrs.filter(state=Cdr.State.HELD, month__lte=period.month))


# Documents


@require_safe
@page(Area.PAPERS)
def documents(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show the party's documents, the latest first."""
    rows = _of(seat).select_related("period", "supplier").order_by("-issued_on", "-pk")
    shown = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    told = [(document, _paid_by(document)) for document in shown]
    context = {"page": shown, "documents": told}
    return show(request, seat, "portal/documents.html", context, here="portal_documents")


def _of(seat: Seat) -> QuerySet[Document]:
    files = Prefetch("files", DocumentFile.objects.defer("content"))
    return Document.objects.filter(party=seat.party).defer("snapshot").prefetch_related(files)


def _paid_by(document: Document) -> Side:
    """Tell who pays: what the hub supplies the party does."""
    return Side.BOUGHT if document.supplier.party_id is None else Side.SOLD


@require_safe
@page(Area.PAPERS)
def document(request: HttpRequest, seat: Seat, document_id: int) -> HttpResponse:
    """Show one document: its lines, each of which leads to its CDRs, and its files."""
    rows = _of(seat).select_related("period", "supplier", "customer")
    found = get_object_or_404(rows, pk=document_id)
    side = _paid_by(found)
    lines = found.lines.select_related("cell__cpo", "cell__emsp").order_by("no")
    context = {
        "document": found,
        "side": side,
        "lines": [(line, _partner(line, side)) for line in lines],
        "taxes": found.taxes.all(),
    }
    return show(request, seat, "portal/document.html", context, here="portal_documents")


def _partner(line: Any, side: Side) -> Any:
    if line.cell is None:
        return None
    return line.cell.emsp if side is Side.SOLD else line.cell.cpo


@require_safe
@page(Area.PAPERS)
def document_file(request: HttpRequest, seat: Seat, document_id: int, kind: str) -> HttpResponse:
    """Hand out a file of a document, and note that."""
    files = DocumentFile.objects.filter(document__party=seat.party)
    file = get_object_or_404(files, document=document_id, kind=kind)
    trail.note(
        seat.party,
        Area.PAPERS,
        "downloaded",
        person=seat.person,
        subject=file.name,
        request=request,
        sha256=file.sha256,
    )
    return portal.attachment(bytes(file.content), file.name, file.content_type)
