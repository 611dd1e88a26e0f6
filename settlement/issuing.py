"""Issue the documents of a frozen month: numbered without a gap, each in one transaction."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

from django.db import transaction

from cdrs.models import Period
from parties.models import Party
from settlement import annex, booking, snapshot
from settlement.calendar import last_day
from settlement.models import (
    Cell,
    CloseRun,
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    LegalEntity,
    SelfBillingAgreement,
    Series,
    VatRule,
)
from settlement.models.agreements import in_force
from settlement.models.documents import Kind
from settlement.snapshot import Bill, Line

SIDES = {
    Kind.SELF_BILLING: DocumentLine.Side.PAYABLE,
    Kind.STATEMENT: DocumentLine.Side.RECEIVABLE,
}
ROLES = {Kind.SELF_BILLING: ("cpo", "emsp"), Kind.STATEMENT: ("emsp", "cpo")}


class CannotIssue(Exception):
    """A document lacks what it legally needs; the message says what, and nothing was issued."""


def issue_month(run: CloseRun) -> None:
    """Issue what the month still lacks: per kind, party and currency, always in the same order."""
    for kind in Kind:
        for party, currency in _owed(run.period, kind):
            issue(run, kind, party, currency)
            run.reached(CloseRun.Step.FROZEN)
    run.reached(CloseRun.Step.ISSUED)


@transaction.atomic
def issue(run: CloseRun, kind: Kind, party: Party, currency: str) -> None:
    """Issue a party's document of a month and currency, unless it exists.

    Locks the party's series of numbers until the end of the transaction. Raises CannotIssue.
    """
    month = {"period": run.period, "kind": kind, "party": party, "currency": currency}
    if Document.objects.filter(**month).exists():
        return
    series = _locked_series(kind, party, run.issued_on)
    series.last_no += 1
    series.save(update_fields=["last_no"])
    bill = _bill(run, kind, party, currency, series.number(series.last_no))
    cdrs = annex.cdrs_behind(run.period, party, currency, SIDES[kind])
    content, count = annex.written(cdrs, SIDES[kind])
    file = DocumentFile(
        kind=DocumentFile.Kind.CSV,
        name=f"{bill.number}.csv",
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    bill = replace(bill, annex={"name": file.name, "rows": count, "sha256": file.sha256})
    _store(Document(**month, series=series, seq=series.last_no), bill, file)


def _owed(period: Period, kind: Kind) -> Iterator[tuple[Party, str]]:
    """Return the parties and currencies that have cells, by party code and currency."""
    role, _ = ROLES[kind]
    pairs = period.cells.order_by(
        f"{role}__country_code", f"{role}__party_id", "currency"
    ).values_list(role, "currency", f"{role}__country_code", f"{role}__party_id")
    found = list(pairs.distinct())
    parties = Party.objects.in_bulk([row[0] for row in found])
    return ((parties[row[0]], row[1]) for row in found)


def _locked_series(kind: Kind, party: Party, issued_on: dt.date) -> Series:
    key = {"kind": kind, "party": party, "year": issued_on.year}
    draft = Series(
        **key, prefix=f"{_prefix(kind, party, issued_on)}-{party.country_code}{party.party_id}"
    )
    Series.objects.bulk_create([draft], ignore_conflicts=True)
    return Series.objects.select_for_update().get(**key)


def _prefix(kind: Kind, party: Party, issued_on: dt.date) -> str:
    if kind == Kind.STATEMENT:
        return "OCN-S"
    agreements = SelfBillingAgreement.objects.filter(in_force(issued_on), supplier__party=party)
    agreement = agreements.first()
    if agreement is None:
        raise CannotIssue(f"{party} has no self-billing agreement in force on {issued_on}")
    return agreement.series_prefix


def _bill(run: CloseRun, kind: Kind, party: Party, currency: str, number: str) -> Bill:
    ends = _entity(party), _entity(None)
    supplier, customer = ends if kind == Kind.SELF_BILLING else ends[::-1]
    rule_of = cache(partial(_rule, supplier.country, customer.country))
    role, other = ROLES[kind]
    cells = Cell.objects.filter(period=run.period, currency=currency, **{role: party})
    ordered = cells.select_related(other).order_by(
        *(f"{other}__country_code", f"{other}__party_id", "supply_month", "country", "credit")
    )
    return Bill(
        kind=kind,
        number=number,
        month=run.period.month,
        issued_on=run.issued_on,
        currency=currency,
        supplier=supplier,
        customer=customer,
        lines=[Line(cell, getattr(cell, other), rule_of(cell.supply_month)) for cell in ordered],
    )


def _entity(party: Party | None) -> LegalEntity:
    entity = LegalEntity.objects.complete().select_related("party").filter(party=party).first()
    if entity is None:
        raise CannotIssue(f"{party or 'the hub'} has no complete legal entity")
    return entity


def _rule(supplier: str, customer: str, month: dt.date) -> VatRule:
    rule = VatRule.objects.applying(supplier, customer, last_day(month))
    if rule is None:
        raise CannotIssue(f"no VAT rule from {supplier} to {customer} in {month:%Y-%m}")
    return rule


def _store(document: Document, bill: Bill, file: DocumentFile) -> None:
    """Write the rows of a bill; at commit the database checks that they add up."""
    for name in ("number", "issued_on", "due_on", "supplier", "customer", "net", "tax", "gross"):
        setattr(document, name, getattr(bill, name))
    document.snapshot = snapshot.taken(bill)
    document.save(force_insert=True)
    DocumentLine.objects.bulk_create(
        DocumentLine(
            document=document,
            no=no,
            cell=line.cell,
            side=SIDES[bill.kind],
            vat_category=line.rule.category,
            vat_rate=line.rule.rate,
            net=line.cell.net,
        )
        for no, line in enumerate(bill.lines, start=1)
    )
    DocumentTax.objects.bulk_create(
        DocumentTax(document=document, **tax._asdict()) for tax in bill.taxes
    )
    file.document = document
    file.save(force_insert=True)
    booking.post_document(document)
