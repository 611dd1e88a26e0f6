"""Whether a month is settled: its invoices paid to the hub, and its self-billed ones paid out."""

from decimal import Decimal
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from cdrs.models import Period
from hub.money import ZERO
from settlement.ledger.balances import owed_to
from settlement.models import Document, Payout, PayoutLine, Receivable
from settlement.models.documents import Kind


def is_owed(period: Period) -> bool:
    """Tell whether something of a month has still to be paid, to the hub or by it."""
    to_the_hub = Receivable.objects.filter(
        document__period=period, state__in=Receivable.UNPAID, amount__gt=0
    )
    return to_the_hub.exists() or any(map(_is_to_be_paid, _not_paid_out(period)))


def _not_paid_out(period: Period) -> QuerySet[Document]:
    """Return the self-billed invoices that are not paid out, with what is on its way.

    What a credit note takes back is never paid out.
    """
    notes = Document.objects.filter(corrected=OuterRef("pk")).order_by().values("corrected")
    lines = PayoutLine.objects.filter(document=OuterRef("pk")).order_by().values("document")
    documents = period.documents.filter(kind=Kind.SELF_BILLING, gross__gt=0).annotate(
        paid=_sum(lines.filter(payout__state=Payout.State.BOOKED)),
        on_its_way=_sum(lines.filter(payout__state__in=Payout.LIVE).exclude(_BOOKED)),
        taken_back=_sum(notes, "gross"),
    )
    return (
        documents.filter(paid__lt=F("gross") - F("taken_back"))
        .select_related("party")
        .defer("snapshot")
    )


_BOOKED = Q(payout__state=Payout.State.BOOKED)


def _sum(rows: QuerySet[Any, Any], column: str = "amount") -> Coalesce:
    return Coalesce(Subquery(rows.annotate(sum=Sum(column)).values("sum")), Decimal())


def _is_to_be_paid(document: Document) -> bool:
    """Tell whether a payout is under way, or the party's balance still asks for one.

    Set-off, fees and credit notes may have taken the rest of an invoice.
    """
    on_its_way: Decimal = document.on_its_way  # type: ignore[attr-defined]
    return on_its_way > 0 or owed_to(document.party, document.currency) > ZERO
