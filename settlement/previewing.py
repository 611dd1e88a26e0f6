"""What would be billed if a month closed now: the same sums as the close, only read.

Cells are rounded once and taxed by category and rate, as on paper. CDRs that the close would hold
are left out and told with their reasons; those that it would release are in.
"""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, Q, Sum
from django.utils import timezone

from cdrs.explorer import Side
from cdrs.models import Cdr, CdrQuerySet, Period
from hub.money import ZERO, rounded
from parties.models import Party
from settlement import holding
from settlement.calendar import last_day
from settlement.holding import Terms, Trade
from settlement.models import LegalEntity, VatRule

TRADED = Trade._fields
KEY = (*TRADED, "currency")


class Line(NamedTuple):
    """Everything of one partner, month, country and currency, as it would stand on paper.

    `net` is the exact `total` rounded once; energy taken back by credits counts negative.
    """

    partner: Party
    month: dt.date
    country: str
    credit: bool
    cdrs: int
    energy_kwh: Decimal
    total: Decimal
    net: Decimal
    rule: VatRule | None
    reasons: tuple[str, ...] = ()


class Tax(NamedTuple):
    """The VAT of one category and rate."""

    category: str
    rate: Decimal
    base: Decimal
    tax: Decimal
    mention: str


@dataclass
class Sheet:
    """What one side of a party comes to in one currency; `left` are lines the close would hold."""

    side: Side
    currency: str
    lines: list[Line] = field(default_factory=list)
    left: list[Line] = field(default_factory=list)

    @property
    def taxes(self) -> list[Tax]:
        """Return the VAT per category and rate, each on the sum of its rounded lines."""
        groups: dict[tuple[str, Decimal], list[Line]] = defaultdict(list)
        for line in self.lines:
            if line.rule:
                groups[line.rule.category, line.rule.rate].append(line)
        return [self._tax(*key, lines) for key, lines in sorted(groups.items())]

    def _tax(self, category: str, rate: Decimal, lines: list[Line]) -> Tax:
        base = sum((line.net for line in lines), ZERO)
        mention = lines[0].rule.mention if lines[0].rule else ""
        return Tax(category, rate, base, rounded(base * rate / 100, self.currency), mention)

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
        """Return what would be paid."""
        return self.net + self.tax


def preview(party: Party, side: Side, period: Period, now: dt.datetime) -> list[Sheet]:
    """Return what a side of a party would be billed, by currency. Reads only, and locks nothing."""
    terms = Terms(timezone.localdate(now))
    sheets: dict[str, Sheet] = {}
    rows = [*_cells(_settled(party, side, period)), *_cells(_released(party, side, period, terms))]
    partners = Party.objects.in_bulk({row[f"{side.other}_id"] for row in rows})
    rule_of = _rules(party, side, terms)
    for row in _merged(rows):
        sheet = sheets.setdefault(row["currency"], Sheet(side, row["currency"]))
        reasons = tuple(terms.obstacles(Trade(*(row[name] for name in TRADED))))
        line = _line(row, partners[row[f"{side.other}_id"]], rule_of(row), reasons)
        (sheet.left if reasons else sheet.lines).append(line)
    return [sheets[currency] for currency in sorted(sheets)]


def open_periods(now: dt.datetime) -> list[Period]:
    """Return the months that are not frozen yet and have begun, the oldest first."""
    begun = Period.objects.filter(state=Period.State.OPEN, month__lte=timezone.localdate(now))
    return list(begun.order_by("month"))


def _settled(party: Party, side: Side, period: Period) -> CdrQuerySet:
    """Keep what is settled in a period, but for credits whose original is not beside them."""
    billable = Cdr.objects.billable(period).filter(**{side.own: party})
    return billable.filter(Q(credit_of=None) | holding.original_settled(period))


def _released(party: Party, side: Side, period: Period, terms: Terms) -> CdrQuerySet:
    """Keep what is held only for want of data that is there by now."""
    held = holding.held_for_configuration(period).filter(**{side.own: party}, credit_of=None)
    trades = held.order_by().values_list(*TRADED).distinct()
    ready = Q(pk__in=[])
    for trade in (Trade(*row) for row in trades):
        if not terms.obstacles(trade):
            ready |= Q(**trade._asdict())
    return held.filter(ready)


def _cells(cdrs: CdrQuerySet) -> list[dict[str, Any]]:
    rows = []
    for credit in (False, True):
        grouped = cdrs.filter(credit_of__isnull=not credit).order_by(*KEY).values(*KEY)
        sums = {"cdrs": Count("pk"), "energy": Sum("energy_kwh"), "total": Sum("total_excl_vat")}
        rows += [{**row, "credit": credit} for row in grouped.annotate(**sums)]
    return rows


def _merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put what is settled and what would be released into one cell, before it is rounded."""
    cells: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = (*(row[name] for name in KEY), row["credit"])
        if cell := cells.get(key):
            for name in ("cdrs", "energy", "total"):
                cell[name] += row[name]
        else:
            cells[key] = dict(row)
    return [cells[key] for key in sorted(cells, key=str)]


def _line(
    row: dict[str, Any], partner: Party, rule: VatRule | None, reasons: tuple[str, ...]
) -> Line:
    return Line(
        partner=partner,
        month=row["month"],
        country=row["country"],
        credit=row["credit"],
        cdrs=row["cdrs"],
        energy_kwh=-row["energy"] if row["credit"] else row["energy"],
        total=row["total"],
        net=rounded(row["total"], row["currency"]),
        rule=rule,
        reasons=reasons,
    )


def _rules(party: Party, side: Side, terms: Terms) -> Any:
    """Return what finds the VAT rule of a month: by the countries of the two companies."""
    complete = LegalEntity.objects.complete()
    ends = [complete.filter(party=party).first(), complete.filter(party=None).first()]
    supplier, customer = ends if side is Side.SOLD else ends[::-1]

    def rule_of(row: dict[str, Any]) -> VatRule | None:
        if supplier is None or customer is None:
            return None
        day = last_day(row["month"])
        found: VatRule | None = terms.rule(supplier, customer, day, row["country"])
        return found

    return rule_of
