"""What would be billed if a month closed now: the same sums as the close, only read.

There is a sheet for each document. Cells are rounded once and taxed by category and rate, as on
paper. CDRs that the close would hold are left out and told with their reasons; those that it would
release are in.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils import timezone

from cdrs.explorer import Side
from cdrs.models import Period
from hub.money import ZERO, rounded
from parties.models import Party
from settlement import billing, foreseen, snapshot
from settlement.billing import CannotIssue, Order
from settlement.foreseen import Day
from settlement.holding import Terms
from settlement.ledger.posting import is_paid_out
from settlement.models import Fee
from settlement.models.documents import Kind
from settlement.snapshot import Tax, Treatment

KINDS = {
    Side.SOLD: (Kind.SELF_BILLING, Kind.SELF_BILLING_CREDIT),
    Side.BOUGHT: (Kind.INVOICE, Kind.CREDIT),
}


class Line(NamedTuple):
    """A fee, or everything of one partner, month, country and currency, as it would be on paper.

    `net` is the exact `total` rounded once; energy taken back by credits counts negative, but on a
    credit note all is positive. Without a `treatment` nobody knows how it is taxed.
    """

    net: Decimal
    total: Decimal
    treatment: Treatment | None = None
    reasons: tuple[str, ...] = ()
    partner: Party | None = None
    month: dt.date | None = None
    country: str = ""
    credit: bool = False
    cdrs: int = 0
    energy_kwh: Decimal = ZERO
    text: str = ""


@dataclass
class Sheet:
    """What one document of a party comes to; `left` are lines that the close would hold."""

    side: Side
    order: Order
    lines: list[Line] = field(default_factory=list)
    left: list[Line] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """Return what the document would be."""
        return self.order.kind

    @property
    def currency(self) -> str:
        """Return its currency."""
        return self.order.currency

    @property
    def taxes(self) -> list[Tax]:
        """Return the VAT per category and rate, each on the sum of its rounded lines."""
        known: Any = [line for line in self.lines if line.treatment]
        return snapshot.taxes_on(known, self.currency)

    @property
    def net(self) -> Decimal:
        """Return the sum of the rounded lines."""
        return sum((line.net for line in self.lines), ZERO)

    @property
    def tax(self) -> Decimal:
        """Return the VAT."""
        return sum((tax.tax for tax in self.taxes), ZERO)

    @property
    def gross(self) -> Decimal:
        """Return what would be paid, or taken back by a credit note."""
        return self.net + self.tax

    @property
    def effect(self) -> Decimal:
        """Return what it adds to all that its side is paid, or pays."""
        less = self.kind.corrects or (self.kind == Kind.FEE and self.side is Side.SOLD)
        return -self.gross if less else self.gross


def preview(party: Party, side: Side, period: Period, now: dt.datetime) -> list[Sheet]:
    """Return what a side of a party would be billed, a sheet for each document.

    The one invoice of fees is with the side that it is booked on: what a CPO is paid, else what an
    eMSP pays. Reads only, and locks nothing.
    """
    terms = Terms(timezone.localdate(now))
    days = foreseen.days(party, side, period, terms)
    sheets = _of_cells(party, side, period, days)
    if side is (Side.SOLD if is_paid_out(party) else Side.BOUGHT):
        settled = _settled(days)
        if side is Side.SOLD:
            settled |= _settled(foreseen.days(party, Side.BOUGHT, period, terms))
        sheets += _of_fees(party, side, foreseen.fees_of(party, period, settled))
    return sorted(sheets, key=_place)


def totals(sheets: Iterable[Sheet]) -> dict[str, Decimal]:
    """Return by currency what all sheets of a side come to together."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for sheet in sheets:
        sums[sheet.currency] += sheet.effect
    return dict(sums)


def open_periods(now: dt.datetime) -> list[Period]:
    """Return the months that are not frozen yet and have begun, the oldest first."""
    begun = Period.objects.filter(state__in=Period.THAWED, month__lte=timezone.localdate(now))
    return list(begun.order_by("month"))


def _settled(days: dict[Day, tuple[str, ...]]) -> dict[Day, None]:
    """Keep what the close would not hold; once, even if a party sells to itself."""
    return {day: None for day, reasons in days.items() if not reasons}


def _place(sheet: Sheet) -> tuple[str, int, str]:
    return sheet.currency, list(Kind).index(sheet.kind), str(sheet.order.corrects or "")


def _of_cells(
    party: Party, side: Side, period: Period, days: dict[Day, tuple[str, ...]]
) -> list[Sheet]:
    corrected = Period.objects.in_bulk({day.corrects_id for day in days if day.corrects_id})
    partners = Party.objects.in_bulk({getattr(day, f"{side.other}_id") for day in days})
    sheets: dict[Order, Sheet] = {}
    for cell, reasons in _cells(days):
        kind = KINDS[side][cell.corrects_id is not None]
        order = Order(kind, party, cell.currency, corrected.get(cell.corrects_id))
        sheet = sheets.setdefault(order, Sheet(side, order))
        line = _line(cell, kind, partners[getattr(cell, f"{side.other}_id")], reasons)
        (sheet.left if reasons else sheet.lines).append(line)
    return [_treated(sheet) for sheet in sheets.values()]


def _cells(days: dict[Day, tuple[str, ...]]) -> Iterator[tuple[Day, tuple[str, ...]]]:
    """Add days up to cells, before anything is rounded; those that would be held, apart."""
    for reasons in sorted(set(days.values())):
        alike = (day._replace(day=day.month) for day, why in days.items() if why == reasons)
        for cell in sorted(foreseen.merged(alike), key=str):
            yield cell, reasons


def _line(cell: Day, kind: Kind, partner: Party, reasons: tuple[str, ...]) -> Line:
    sign = -1 if kind.corrects else 1
    return Line(
        net=sign * rounded(cell.total, cell.currency),
        total=sign * cell.total,
        reasons=reasons,
        partner=partner,
        month=cell.month,
        country=cell.country,
        credit=cell.credit,
        cdrs=cell.cdrs,
        energy_kwh=sign * cell.energy_kwh,
    )


def _of_fees(party: Party, side: Side, fees: Iterable[Fee]) -> Iterator[Sheet]:
    sheets: dict[str, Sheet] = {}
    for fee in fees:
        order = Order(Kind.FEE, party, fee.currency)
        sheet = sheets.setdefault(fee.currency, Sheet(side, order))
        sheet.lines.append(Line(fee.net, fee.net, month=fee.period.month, text=fee.text))
    return map(_treated, sheets.values())


def _treated(sheet: Sheet) -> Sheet:
    """Say how its lines are taxed, as far as that is known."""
    try:
        treatment_of = billing.taxing(sheet.order)
        sheet.lines = [
            line._replace(treatment=treatment_of(line.month, line.country, line.partner))
            for line in sheet.lines
            if line.month
        ]
    except CannotIssue:
        pass  # what stands in the way is told with the lines that are left, or at the close
    return sheet
