"""What must hold over the whole database at any time, of money and of delivery.

Each check is a function that yields what breaks it; CHECKS is the list of all, with those of
delivery (`parties/invariants.py`). They ask the database in sets, unlike verify.py, which
recomputes one month by other means.
"""

import hashlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, Exists, F, Max, OuterRef, Q, Sum

from cdrs.models import Cdr, Finding, Period
from parties import invariants
from parties.invariants import Check
from settlement import dispute_invariants, money_invariants
from settlement.models import Cell, Document, DocumentFile, DocumentLine, Fee, Series
from settlement.models.documents import NO_HASH, chained, digest_of

FILED = (Period.State.SETTLING, Period.State.CLOSED)
ISSUED = (Period.State.ISSUED, *FILED)


class Breach(NamedTuple):
    """A row that should not be as it is."""

    check: str
    subject: str
    text: str


def breaches() -> list[Breach]:
    """Run every check and return all breaches, none if all is well."""
    return [
        Breach(check.__name__, str(subject), text) for check in CHECKS for subject, text in check()
    ]


def cells_hold_every_settled_cdr() -> Iterator[tuple[Any, str]]:
    """The cells of a frozen month add up to its CDRs: count, energy and money, per currency."""
    for period in Period.objects.exclude(state__in=Period.THAWED):
        cdrs = Cdr.objects.billable(period).order_by().values("currency")
        energy = Sum("energy_kwh", filter=Q(credit_of=None), default=Decimal())
        back = Sum("energy_kwh", filter=~Q(credit_of=None), default=Decimal())
        expected = cdrs.annotate(n=Count("pk"), kwh=energy - back, money=Sum("total_excl_vat"))
        cells = Cell.objects.filter(period=period).order_by().values("currency")
        found = cells.annotate(n=Sum("cdr_count"), kwh=Sum("energy_kwh"), money=Sum("total"))
        if _by_currency(expected) != _by_currency(found):
            yield period, f"CDRs {_by_currency(expected)}, cells {_by_currency(found)}"


def _by_currency(rows: Any) -> dict[str, tuple[Any, ...]]:
    return {row["currency"]: (row["n"], row["kwh"], row["money"]) for row in rows}


def closed_months_are_billed_on_both_sides() -> Iterator[tuple[Any, str]]:
    """Each cell of a month that is issued stands on one CPO document and one eMSP document."""
    cells = Cell.objects.filter(period__state__in=ISSUED).select_related("cpo", "emsp")
    for side in DocumentLine.Side.values:
        line = DocumentLine.objects.filter(cell=OuterRef("pk"), side=side)
        for cell in cells.exclude(Exists(line)):
            yield cell, f"on no document of side {side}"


def documents_add_up() -> Iterator[tuple[Any, str]]:
    """Net is the sum of the lines, VAT that of the taxes, gross both; no line is off its cell."""
    for column, addends in (("net", "lines__net"), ("tax", "taxes__tax")):
        summed = Document.objects.annotate(sum=Sum(addends, default=Decimal()))
        for number, total in summed.exclude(**{column: F("sum")}).values_list("number", "sum"):
            yield number, f"{column} is not {total}"
    gross = Document.objects.exclude(gross=F("net") + F("tax"))
    yield from ((document, "gross is not net and VAT") for document in gross)
    own = Q(net=F("cell__net"), document__corrected=None)
    back = Q(net=-F("cell__net"), document__corrected__isnull=False)
    wrong = DocumentLine.objects.filter(fee=None).exclude(own | back)
    for line in wrong.select_related("document"):
        yield line, "is not the amount of its cell"


def numbers_are_gapless() -> Iterator[tuple[Any, str]]:
    """A series of n numbers has n documents, the last of them numbered n."""
    counted = Series.objects.annotate(
        n=Count("documents"), highest=Max("documents__seq", default=0)
    )
    for series in counted.exclude(n=F("last_no"), highest=F("last_no")):
        yield series, f"{series.n} documents up to {series.highest}, last number {series.last_no}"


def documents_form_one_chain() -> Iterator[tuple[Any, str]]:
    """Each document carries the hash of the one before it and its own, from the first on."""
    before, place = NO_HASH, 0
    columns = ("chain_no", "number", "prev_hash", "hash", "snapshot", "xml_sha256")
    rows = Document.objects.order_by("chain_no").values_list(*columns)
    for chain_no, number, prev_hash, found, snapshot, xml_sha256 in rows.iterator(chunk_size=200):
        if (chain_no, prev_hash) != (place + 1, before):
            yield number, "does not follow the document before it in the chain"
        if chained(prev_hash, number, digest_of(snapshot), xml_sha256) != found:
            yield number, "is not what its hash says"
        before, place = found, chain_no


def fees_of_closed_months_are_billed() -> Iterator[tuple[Any, str]]:
    """Each fee of a closed month stands on a fee invoice, with its own amount."""
    fees = Fee.objects.filter(period__state=Period.State.CLOSED).select_related("party")
    yield from ((fee, "is on no document") for fee in fees.filter(line=None))
    yield from ((fee, "is billed otherwise") for fee in fees.exclude(line__net=F("net")))


def files_are_whole() -> Iterator[tuple[Any, str]]:
    """A document of a settled month has its files, and the bytes are those of their digests."""
    closed = Document.objects.filter(period__state__in=FILED)
    files = DocumentFile.objects.filter(document=OuterRef("pk"))
    annexed = closed.filter(snapshot__annex__sha256__isnull=False)
    unlisted = annexed.exclude(Exists(files.filter(kind=DocumentFile.Kind.CSV)))
    yield from ((document, "lacks a file") for document in {*closed.unfinished(), *unlisted})
    named: dict[str, Callable[[Document], str]] = {
        DocumentFile.Kind.CSV: lambda document: str((document.snapshot["annex"] or {})["sha256"]),
        DocumentFile.Kind.XML: lambda document: document.xml_sha256,
    }
    for file in DocumentFile.objects.select_related("document").iterator(chunk_size=20):
        if hashlib.sha256(file.content).hexdigest() != file.sha256:
            yield file, "is not what its digest says"
        if file.kind in named and file.sha256 != named[file.kind](file.document):
            yield file, "is not the file that its document names"


def held_cdrs_say_why() -> Iterator[tuple[Any, str]]:
    """A held CDR has an open finding that holds it, an accepted one has none."""
    holding = Finding.objects.filter(
        cdr=OuterRef("pk"), severity=Finding.Severity.HOLD, cleared_at=None
    )
    cdrs = Cdr.objects.select_related("owner").defer("body", "raw")
    held, accepted = cdrs.filter(state=Cdr.State.HELD), cdrs.filter(state=Cdr.State.ACCEPTED)
    yield from ((cdr, "is held for no reason") for cdr in held.exclude(Exists(holding)))
    yield from ((cdr, "is accepted in spite of a hold") for cdr in accepted.filter(Exists(holding)))


def credits_mirror_their_originals() -> Iterator[tuple[Any, str]]:
    """A settled credit takes back one CDR of its own CPO, eMSP and currency, to the last digit."""
    credits = Cdr.objects.filter(state=Cdr.State.ACCEPTED, credit_of__isnull=False)
    original = "credit_of__{}".format
    mirrored = Q(
        owner=F(original("owner")),
        emsp=F(original("emsp")),
        currency=F(original("currency")),
        total_excl_vat=-F(original("total_excl_vat")),
        **{original("credit_of"): None},
    )
    for cdr in credits.exclude(mirrored).select_related("owner").defer("body", "raw"):
        yield cdr, "does not mirror the CDR it credits"


CHECKS: tuple[Check, ...] = (
    cells_hold_every_settled_cdr,
    closed_months_are_billed_on_both_sides,
    documents_add_up,
    numbers_are_gapless,
    documents_form_one_chain,
    fees_of_closed_months_are_billed,
    files_are_whole,
    held_cdrs_say_why,
    credits_mirror_their_originals,
    *money_invariants.CHECKS,
    *dispute_invariants.CHECKS,
    *invariants.CHECKS,
)
