"""Issue the documents of a frozen month: numbered without a gap, each in one transaction."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import replace

from django.db import connection, transaction

from cdrs.models import Period
from settlement import annex, billing, booking, snapshot
from settlement.annex import Listing
from settlement.billing import SIDES, CannotIssue, Order
from settlement.einvoice import cii, inspection, ubl
from settlement.einvoice.schemas import CannotValidate
from settlement.models import (
    CloseRun,
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    SelfBillingAgreement,
    Series,
)
from settlement.models.documents import NO_HASH, Kind
from settlement.models.validity import in_force
from settlement.snapshot import Bill, Line

__all__ = ["CannotIssue", "issue", "issue_month"]

CHAIN_LOCK = 0x4348  # of pg_advisory_xact_lock: one document after the other joins the chain
COLUMNS = (
    *("kind", "number", "issued_on", "due_on", "supplier", "customer", "currency"),
    *("net", "tax", "gross", "corrected"),
)
PREFIXES = {
    Kind.SELF_BILLING: "{agreed}",
    Kind.SELF_BILLING_CREDIT: "{agreed}-C",
    Kind.INVOICE: "OCN-S",
    Kind.CREDIT: "OCN-SC",
    Kind.FEE: "OCN-F",
}


def issue_month(run: CloseRun) -> None:
    """Issue what the month still lacks: per kind, party and currency, always in the same order."""
    for order in billing.owed(run.period):
        issue(run, order)
        run.reached(CloseRun.Step.FROZEN)
    run.reached(CloseRun.Step.ISSUED)


@transaction.atomic
def issue(run: CloseRun, order: Order) -> None:
    """Issue what a month owes a party, unless it exists.

    The e-invoice is inspected under the number DRAFT, before a number is spent. Then this locks
    the party's series, and last the chain of all documents, until the transaction ends. Raises
    CannotIssue.
    """
    if _issued(run.period, order):
        return
    prefix = _prefix(order, run.issued_on)
    bill = billing.drafted(run, order)
    listed = _listed(run.period, order, bill)
    inspect(bill, listed)
    series = _locked_series(order, prefix, run.issued_on)
    series.last_no += 1
    series.save(update_fields=["last_no"])
    bill = replace(bill, number=series.number(series.last_no))
    document = Document(period=run.period, party=order.party, series=series, seq=series.last_no)
    _store(document, bill, listed)


def inspect(bill: Bill, listed: Listing | None) -> None:
    """Refuse a bill whose e-invoice breaks a rule, or whose rules cannot be applied."""
    said = snapshot.taken(_with_annex(bill, listed))
    if not said["e_invoice"]:
        return
    try:
        faults = inspection.faults(said)
    except CannotValidate as error:
        raise CannotIssue(f"{_named(bill)} cannot be validated: {error}") from error
    if faults:
        raise CannotIssue(f"{_named(bill)} would be invalid: {'; '.join(faults)}")


def _named(bill: Bill) -> str:
    party = (bill.supplier if bill.kind.self_billed else bill.customer).party
    return f"{bill.kind.label} of {party} in {bill.currency}"


def _issued(period: Period, order: Order) -> bool:
    key = {"kind": order.kind, "party": order.party, "currency": order.currency}
    found = Document.objects.filter(period=period, corrected__period=order.corrects, **key)
    return found.exists()


def _listed(period: Period, order: Order, bill: Bill) -> Listing | None:
    """Write the annex; raises CannotIssue unless it has as many CDRs as the lines say."""
    if order.kind == Kind.FEE:
        return None
    side = SIDES[order.kind]
    cdrs = annex.cdrs_behind(period, order.party, order.currency, side, order.corrects)
    listed = annex.written(cdrs, side)
    billed = sum(line.cell.cdr_count for line in bill.lines if line.cell)
    if listed.size != billed:
        raise CannotIssue(f"{order}: the annex has {listed.size} CDRs, its lines {billed}")
    return listed


def _with_annex(bill: Bill, listed: Listing | None) -> Bill:
    if listed is None:
        return bill
    facts = {"rows": listed.size, "sha256": hashlib.sha256(listed.content).hexdigest()}
    return replace(bill, annex={"name": f"{bill.number}.csv", **facts})


def _prefix(order: Order, issued_on: dt.date) -> str:
    """Return how the numbers of a party begin; self-billing needs an agreement in force."""
    code = f"{order.party.country_code}{order.party.party_id}"
    if not order.kind.self_billed:
        return f"{PREFIXES[order.kind]}-{code}"
    agreements = SelfBillingAgreement.objects.filter(
        in_force(issued_on), supplier__party=order.party
    )
    agreement = agreements.first()
    if agreement is None:
        raise CannotIssue(f"{order.party} has no self-billing agreement in force on {issued_on}")
    return f"{PREFIXES[order.kind].format(agreed=agreement.series_prefix)}-{code}"


def _locked_series(order: Order, prefix: str, issued_on: dt.date) -> Series:
    key = {"kind": order.kind, "party": order.party, "year": issued_on.year}
    Series.objects.bulk_create([Series(**key, prefix=prefix)], ignore_conflicts=True)
    return Series.objects.select_for_update().get(**key)


def _store(document: Document, bill: Bill, listed: Listing | None) -> None:
    """Write the rows of a bill; at commit the database checks that they add up."""
    bill = _with_annex(bill, listed)
    for name in COLUMNS:
        setattr(document, name, getattr(bill, name))
    document.snapshot = snapshot.taken(bill)
    files = list(_files(document, listed))
    _chain(document, files)
    document.save(force_insert=True)
    DocumentLine.objects.bulk_create(
        _row(document, no, line) for no, line in enumerate(bill.lines, start=1)
    )
    DocumentTax.objects.bulk_create(
        DocumentTax(
            document=document,
            category=tax.category,
            rate=tax.rate,
            base=tax.base,
            tax=tax.tax,
            note=tax.note[:310],
        )
        for tax in bill.taxes
    )
    for file in files:
        file.document = document
    DocumentFile.objects.bulk_create(files)
    booking.post_document(document)


def _files(document: Document, listed: Listing | None) -> Iterator[DocumentFile]:
    """Make the files that are issued with a document: what is printed on it depends on them."""
    said, file = document.snapshot, DocumentFile.Kind
    if listed is not None:
        yield DocumentFile.holding(file.CSV, document.number, listed.content)
    if said["e_invoice"]:
        yield DocumentFile.holding(file.XML, document.number, cii.written(said))
        yield DocumentFile.holding(file.UBL, document.number, ubl.written(said))


def _chain(document: Document, files: list[DocumentFile]) -> None:
    """Chain a document to the last one; nobody else joins the chain until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [CHAIN_LOCK])
    last = Document.objects.order_by("-chain_no").only("chain_no", "hash").first()
    document.chain_no = last.chain_no + 1 if last else 1
    document.prev_hash = last.hash if last else NO_HASH
    xml = [file.sha256 for file in files if file.kind == DocumentFile.Kind.XML]
    document.xml_sha256 = xml[0] if xml else ""
    document.seal()


def _row(document: Document, no: int, line: Line) -> DocumentLine:
    return DocumentLine(
        document=document,
        no=no,
        cell=line.cell,
        fee=line.fee,
        side=SIDES[Kind(document.kind)],
        vat_category=line.treatment.category,
        vat_rate=line.treatment.rate,
        net=line.net,
    )
