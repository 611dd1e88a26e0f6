"""What finance staff check before a step: is everything there, and does everything tie out."""

import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from cdrs.models import Cdr, Period
from hub.money import ZERO
from parties.models import Party
from settlement.holding import RATE_MISSING, Terms, Trade
from settlement.models import Agreement, DocumentLine, LegalEntity, SelfBillingAgreement
from settlement.models.companies import ANY
from settlement.models.validity import in_force

ISSUED = (Period.State.ISSUED, Period.State.SETTLING, Period.State.CLOSED)
SHOWN = 10


class Check(NamedTuple):
    """Something that should be so, what stands against it, and where to go."""

    text: str
    against: str
    url: str

    @property
    def passed(self) -> bool:
        """Tell whether nothing stands against it."""
        return not self.against


class Tie(NamedTuple):
    """A currency of a month, from the CDRs to the documents; exact but for the rounded nets."""

    currency: str
    cdrs: Decimal
    cells: Decimal
    net: Decimal
    payable: Decimal
    receivable: Decimal

    @property
    def difference(self) -> Decimal:
        """Return what must be zero: CDRs against cells, and both sides against each other."""
        missed = abs(self.cdrs - self.cells) if self.cells else ZERO
        return missed + abs(self.payable - self.receivable)


def checks(period: Period) -> Iterator[Check]:
    """Look, by indexes, at what would hold CDRs back or keep documents from being issued."""
    today = timezone.localdate()
    sellers, buyers = _trading(period, "owner"), _trading(period, "emsp")
    both = sellers | buyers
    entities = reverse("admin:settlement_legalentity_changelist")
    before = Period.objects.filter(month__lt=period.month).exclude(state__in=ISSUED)
    yield Check(
        gettext("the months before are issued"),
        _listed(before.order_by("month")),
        reverse("admin:cdrs_period_changelist"),
    )
    held = Cdr.objects.held_up_to(period.month).count()
    yield Check(
        gettext("no CDR of this month, or an earlier one, is held"),
        str(held) if held else "",
        reverse("admin:cdrs_exceptions"),
    )
    complete = LegalEntity.objects.complete()
    ours = "" if complete.filter(party=None).exists() else gettext("the hub")
    lacking = _listed(both.exclude(Exists(complete.filter(party=OuterRef("pk")))))
    yield Check(
        gettext("the companies of all who trade, and of the hub, are complete"),
        ", ".join(text for text in (ours, lacking) if text),
        entities,
    )
    agreed = SelfBillingAgreement.objects.filter(in_force(today), supplier__party=OuterRef("pk"))
    yield Check(
        gettext("every CPO has a self-billing agreement in force"),
        _listed(sellers.exclude(Exists(agreed))),
        reverse("admin:settlement_selfbillingagreement_changelist"),
    )
    yield Check(
        gettext("every party has an agreement for what it does"),
        ", ".join(filter(None, (_without(sellers, "cpo"), _without(buyers, "emsp")))),
        reverse("admin:settlement_agreement_changelist"),
    )
    yield Check(
        gettext("every currency of the month has a rate, where its VAT has to be told in another"),
        "; ".join(sorted(_without_rate(period, today))),
        reverse("admin:settlement_fxrate_changelist"),
    )


def ties(period: Period) -> list[Tie]:
    """Add up each currency once more at every stage that the month has reached."""
    cdrs = _summed(Cdr.objects.billable(period), "currency", "total_excl_vat")
    cells = _summed(period.cells.all(), "currency", "total")
    nets = _summed(period.cells.all(), "currency", "net")
    lines = DocumentLine.objects.filter(cell__period=period)
    sides = [
        _summed(lines.filter(side=side), "cell__currency", "cell__net")
        for side in (DocumentLine.Side.PAYABLE, DocumentLine.Side.RECEIVABLE)
    ]
    columns = (cdrs, cells, nets, *sides)
    return [
        Tie(currency, *(column.get(currency, ZERO) for column in columns))
        for currency in sorted(cdrs.keys() | cells.keys())
    ]


def _trading(period: Period, role: str) -> QuerySet[Party]:
    cdrs = Cdr.objects.filter(**{"period": period, role: OuterRef("pk")})
    return Party.objects.filter(Exists(cdrs)).order_by("country_code", "party_id")


def _without_rate(period: Period, today: dt.date) -> set[str]:
    """Say which exchange rates are missing for the VAT of what is settled, as of today."""
    terms = Terms(today)
    cdrs = Cdr.objects.billable(period).order_by()
    rows = cdrs.values_list("owner_id", "emsp_id", "currency").distinct()
    trades = (Trade(owner, emsp, period.month, ANY, money) for owner, emsp, money in rows)
    return {found for trade in trades if (found := terms.obstacles(trade).get(RATE_MISSING))}


def _without(parties: QuerySet[Party], kind: str) -> str:
    agreements = Agreement.objects.filter(Q(valid_to=None), kind=kind, party=OuterRef("pk"))
    return _listed(parties.exclude(Exists(agreements)))


def _listed(rows: Iterable[Any]) -> str:
    found = [str(row) for row in rows]
    more = gettext("and %d more") % (len(found) - SHOWN) if len(found) > SHOWN else ""
    return ", ".join([*found[:SHOWN], *([more] if more else [])])


def _summed(rows: QuerySet[Any], currency: str, amount: str) -> dict[str, Decimal]:
    grouped = rows.order_by().values(currency).annotate(sum=Sum(amount))
    return {row[currency]: row["sum"] for row in grouped}
