"""What is owed on paper for a frozen month, and with which lines."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from cdrs.models import Period
from parties.models import Party
from settlement import accounting, regimes, snapshot
from settlement.accounting import Accounting
from settlement.calendar import last_day
from settlement.models import (
    Cell,
    CloseRun,
    Document,
    DocumentLine,
    Fee,
    LegalEntity,
    VatRule,
)
from settlement.models.documents import Kind
from settlement.paydays import due_on
from settlement.snapshot import Bill, Line, Treatment

VATEX = {"AE": "VATEX-EU-AE", "G": "VATEX-EU-G"}  # BT-121: why no VAT is charged
DRAFT = "DRAFT"  # the number of a bill that has none yet
ROLES = {
    Kind.SELF_BILLING: ("cpo", "emsp"),
    Kind.SELF_BILLING_CREDIT: ("cpo", "emsp"),
    Kind.INVOICE: ("emsp", "cpo"),
    Kind.CREDIT: ("emsp", "cpo"),
}
SIDES = {
    kind: DocumentLine.Side.PAYABLE if kind.self_billed else DocumentLine.Side.RECEIVABLE
    for kind in Kind
}


# month of supply, country, who is on the other end of the line -> how it is taxed
Taxing = Callable[[dt.date, str, Party | None], Treatment]


class CannotIssue(Exception):
    """A document lacks what it legally needs; the message says what, and nothing was issued."""


class Order(NamedTuple):
    """A document that a month owes a party; a credit note for one earlier month each."""

    kind: Kind
    party: Party
    currency: str
    corrects: Period | None = None

    def __str__(self) -> str:
        return f"{self.kind.label} of {self.party} in {self.currency}"


def owed(period: Period) -> Iterator[Order]:
    """Return what a month owes, by kind, party code, currency and corrected month."""
    for kind in Kind:
        yield from _fee_orders(period) if kind == Kind.FEE else _cell_orders(period, kind)


def drafted(run: CloseRun, order: Order) -> Bill:
    """Return the bill of an order, complete but for its number and annex; raises CannotIssue."""
    supplier, customer = _ends(order)
    corrected = _corrected(order)
    lines = _fee_lines if order.kind == Kind.FEE else _cell_lines
    bill = Bill(
        kind=order.kind,
        number=DRAFT,
        month=run.period.month,
        issued_on=run.issued_on,
        due_on=due_on(order.kind, order.party, order.currency, run.issued_on),
        currency=order.currency,
        supplier=supplier,
        customer=customer,
        lines=lines(run.period, order, _taxing(order, corrected)),
        channel=regimes.channel_of(supplier.country, run.issued_on),
        corrected=corrected,
    )
    return replace(bill, accounting=_accounting(bill))


def _accounting(bill: Bill) -> Accounting | None:
    """Return how VAT is told to its state; what is taken back goes by the rate of before."""
    if not bill.tax:
        return None
    if bill.corrected and (said := bill.corrected.snapshot.get("accounting")):
        return accounting.again(said)
    try:
        return accounting.of(bill.supplier.country, bill.currency, bill.issued_on)
    except LookupError as error:
        raise CannotIssue(f"{bill.kind.label} in {bill.currency}: {error}") from error


def taxing(order: Order) -> Taxing:
    """Return how the lines of an order are taxed; raises CannotIssue, now or when called."""
    return _taxing(order, _corrected(order))


def _taxing(order: Order, corrected: Document | None) -> Taxing:
    if corrected:
        return _as_before(corrected)
    supplier, customer = _ends(order)

    @cache
    def treatment(month: dt.date, country: str) -> Treatment:
        return _treated(_rule(order, supplier, customer, last_day(month), country))

    return lambda month, country, counterparty: treatment(month, country)


def _ends(order: Order) -> tuple[LegalEntity, LegalEntity]:
    """Return the supplier and the customer."""
    party, hub = _entity(order.party), _entity(None)
    return (party, hub) if order.kind.self_billed else (hub, party)


def _cell_orders(period: Period, kind: Kind) -> Iterator[Order]:
    role, _ = ROLES[kind]
    party = f"{role}__country_code", f"{role}__party_id"
    order = *party, "currency", "corrects__month"
    cells = period.cells.filter(corrects__isnull=kind.corrects is None)
    rows = list(cells.order_by(*order).values_list(role, "currency", "corrects", *order).distinct())
    parties = Party.objects.in_bulk([row[0] for row in rows])
    periods = Period.objects.in_bulk([row[2] for row in rows if row[2]])
    return (Order(kind, parties[row[0]], row[1], periods.get(row[2])) for row in rows)


def _fee_orders(period: Period) -> Iterator[Order]:
    order = "party__country_code", "party__party_id", "currency"
    rows = list(period.fees.order_by(*order).values_list("party", *order).distinct())
    parties = Party.objects.in_bulk([row[0] for row in rows])
    return (Order(Kind.FEE, parties[row[0]], row[-1]) for row in rows)


def _cell_lines(period: Period, order: Order, treatment_of: Taxing) -> list[Line]:
    role, other = ROLES[order.kind]
    key: dict[str, Any] = {role: order.party, "currency": order.currency}
    cells = Cell.objects.filter(period=period, corrects=order.corrects, **key)
    ordered = cells.select_related(other).order_by(
        *(f"{other}__country_code", f"{other}__party_id", "supply_month", "country", "credit")
    )
    lines = []
    for cell in ordered:
        partner: Party = getattr(cell, other)
        treatment = treatment_of(cell.supply_month, cell.country, partner)
        lines.append(snapshot.billed_cell(cell, partner, order.kind, treatment))
    return lines


def _fee_lines(period: Period, order: Order, treatment_of: Taxing) -> list[Line]:
    fees = Fee.objects.filter(period=period, party=order.party, currency=order.currency)
    return [
        snapshot.billed_fee(fee, treatment_of(period.month, "", None))
        for fee in fees.select_related("period").order_by("role", "basis", "pk")
    ]


def _corrected(order: Order) -> Document | None:
    """Return the document that a credit note takes back from; raises CannotIssue without one."""
    if order.kind.corrects is None:
        return None
    documents = Document.objects.filter(
        kind=order.kind.corrects,
        period=order.corrects,
        party=order.party,
        currency=order.currency,
    )
    found = documents.select_related("supplier", "customer").first()
    if found is None:
        raise CannotIssue(f"{order}: {order.corrects} has no document to take back from")
    return found


def _as_before(corrected: Document) -> Taxing:
    """Return how a credit is taxed: as the line was that it takes back, whatever holds now."""
    said = corrected.snapshot
    groups = {(tax["category"], tax["rate"]): tax for tax in said["taxes"]}
    taxed = {
        (line["counterparty"], line["supply_month"], line["country"]): groups[
            line["vat_category"], line["vat_rate"]
        ]
        for line in said["lines"]
    }

    def treatment_of(month: dt.date, country: str, counterparty: Party | None) -> Treatment:
        key = snapshot.code_of(counterparty), f"{month:%Y-%m}", country
        if key not in taxed:
            raise CannotIssue(f"{corrected} has no line of {' '.join(key)} to take back from")
        group = taxed[key]
        rate = Decimal(group["rate"])
        return Treatment(group["category"], rate, "", group["note"], group.get("vatex", ""))

    return treatment_of


def _entity(party: Party | None) -> LegalEntity:
    entity = LegalEntity.objects.complete().select_related("party").filter(party=party).first()
    if entity is None:
        raise CannotIssue(f"{party or 'the hub'} has no complete legal entity")
    return entity


def _rule(
    order: Order, supplier: LegalEntity, customer: LegalEntity, day: dt.date, country: str
) -> VatRule:
    """Return how an order's supply in a country is taxed; raises CannotIssue without a rule."""
    rules = VatRule.objects
    if order.kind == Kind.FEE:
        found = rules.on_services(supplier, customer, day)
    else:
        found = rules.between(supplier, customer, day, country)
    if found is None:
        ends = f"{supplier.country} to {customer.country}"
        raise CannotIssue(f"no VAT rule from {ends} in {day:%Y-%m}")
    return found


def _treated(rule: VatRule) -> Treatment:
    note = "; ".join(text for text in (rule.mention, rule.legal_reference) if text)
    vatex = rule.vatex or VATEX.get(rule.category, "")
    return Treatment(rule.category, rule.rate, rule.mention, note, vatex)
