"""Recompute every document of a month from its CDRs, in plain Decimals, and tell each difference.

This shares nothing with the way documents are made but the reading of the clock and the rounding
rule, so a mistake there cannot hide here.
"""

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from cdrs.models import Cdr, Period
from hub.money import rounded
from hub.spreadsheets import safe
from parties.models import Party
from settlement import ocn_verify, parquet
from settlement.models import Document, DocumentFile, Fee, Series
from settlement.models.documents import NO_HASH, Kind, chained, digest_of
from settlement.snapshot import code_of

File = DocumentFile.Kind


class Side(NamedTuple):
    """Whose CDRs a kind of document bills, who is on their other end, and with which sign."""

    role: str
    other: str
    sign: int


SIDES = {
    Kind.SELF_BILLING: Side("owner", "emsp", 1),
    Kind.SELF_BILLING_CREDIT: Side("owner", "emsp", -1),
    Kind.INVOICE: Side("emsp", "owner", 1),
    Kind.CREDIT: Side("emsp", "owner", -1),
}


class Difference(NamedTuple):
    """Something that is not as recomputed."""

    where: str
    what: str
    expected: str
    found: str


class Fact(NamedTuple):
    """What a document bills of one CDR; energies of credits are negative."""

    uid: str
    counterparty: str
    month: str
    country: str
    currency: str
    credit: bool
    energy_kwh: Decimal
    total: Decimal


class Tally(NamedTuple):
    """A line as recomputed."""

    cdrs: int
    energy_kwh: Decimal
    net: Decimal


LineKey = tuple[str, str, str, bool]
TaxKey = tuple[str, Decimal]


def differences(period: Period) -> list[Difference]:
    """Return all differences of a month, none if every cent, byte and number is right."""
    documents = Document.objects.filter(period=period).select_related(
        "party", "series", "period", "corrected"
    )
    found = list(_unbilled(period, documents))
    for document in documents.order_by("pk"):
        found += _document(document)
    for series in Series.objects.filter(documents__period=period).distinct():
        found += _numbers(series)
    return found


def _differ(where: Any, what: str, expected: Any, found: Any) -> Iterator[Difference]:
    if expected != found:
        yield Difference(str(where), what, str(expected), str(found))


def _unbilled(period: Period, documents: Any) -> Iterator[Difference]:
    """Tell which parties and currencies have CDRs or fees but no document, or the reverse."""
    for kind in Kind:
        owed = set(_owed(period, kind))
        issued = documents.filter(kind=kind)
        billed = set(issued.values_list("party", "currency", "corrected__period"))
        for key in owed ^ billed:
            words = ("issued", "missing") if key in owed else ("none", "issued")
            yield Difference(str(period), f"{kind} of party {key[0]} in {key[1]}", *words)


def _owed(period: Period, kind: Kind) -> Iterator[tuple[int | None, str, int | None]]:
    """Return what should be there: party, currency and the month that is corrected."""
    if kind == Kind.FEE:
        fees = Fee.objects.filter(period=period)
        yield from ((fee.party_id, fee.currency, None) for fee in fees)
        return
    side = SIDES[kind]
    columns = side.role, "currency", "credit_of__period"
    for party, currency, corrects in _settled(period).values_list(*columns).distinct():
        corrected = None if corrects == period.pk else corrects
        if (side.sign < 0) == (corrected is not None):
            yield party, currency, corrected


def _settled(period: Period) -> Any:
    return Cdr.objects.billable(period).order_by()


def _document(document: Document) -> Iterator[Difference]:
    facts = list(_facts(document))
    if document.kind == Kind.FEE:
        yield from _fees(document)
    else:
        yield from _annex(document, facts)
        yield from _lines(document, _tallied(facts, SIDES[Kind(document.kind)].sign))
    yield from _taxes(document)
    yield from _sums(document, facts)
    yield from _files(document)
    yield from _chain(document)


def _facts(document: Document) -> Iterator[Fact]:
    """Read from the CDRs what the document bills."""
    side = SIDES.get(Kind(document.kind))
    if side is None:
        return
    cdrs = _settled(document.period).filter(
        **{side.role: document.party}, currency=document.currency
    )
    parties = {party.pk: code_of(party) for party in Party.objects.all()}
    own = {document.corrected.period_id} if document.corrected else {None, document.period_id}
    columns = ("uid", side.other, "month", "country", "currency", "credit_of", "credit_of__period")
    rows = cdrs.values_list(*columns, "energy_kwh", "total_excl_vat")
    for uid, party, month, country, currency, credit_of, taken_from, energy, total in rows:
        if taken_from in own:
            yield Fact(
                safe(uid),
                parties[party],
                f"{month:%Y-%m}",
                country,
                currency,
                credit_of is not None,
                energy if credit_of is None else -energy,
                total,
            )


def _fees(document: Document) -> Iterator[Difference]:
    """Compare the lines of a fee invoice, as printed and as stored, with the fees of the month."""
    fees = Fee.objects.filter(
        period=document.period, party=document.party, currency=document.currency
    )
    expected = sorted((fee.text, fee.basis, fee.quantity, fee.rate, fee.net) for fee in fees)
    printed = sorted(
        (
            line["text"],
            line["basis"],
            *(Decimal(line[name]) for name in ("basis_quantity", "rate", "net")),
        )
        for line in document.snapshot["lines"]
    )
    yield from _differ(document, "printed fees", expected, printed)
    stored = sorted(
        (line.fee.text, line.fee.basis, line.fee.quantity, line.fee.rate, line.net)
        for line in document.lines.select_related("fee")
        if line.fee
    )
    yield from _differ(document, "stored fees", expected, stored)


def _annex(document: Document, facts: list[Fact]) -> Iterator[Difference]:
    """Compare the annex with the CDRs, row by row, and with the digest printed on the document."""
    printed = document.snapshot["annex"]
    file = document.files.filter(kind=DocumentFile.Kind.CSV).first()
    if file is None:
        yield Difference(str(document), "annex", printed["name"], "missing")
        return
    content = bytes(file.content)
    yield from _differ(document, "annex digest", printed["sha256"], _digest(content))
    yield from _differ(document, "annex rows", len(facts), printed["rows"])
    listed, billed = Counter(_listed(content)), Counter(facts)
    yield from _differ(document, "CDRs missing in the annex", [], _uids(billed - listed))
    yield from _differ(document, "rows of the annex that are no CDR", [], _uids(listed - billed))


def _listed(content: bytes) -> Iterator[Fact]:
    for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
        yield Fact(
            row["cdr_id"],
            row["counterparty"],
            row["supply_month"],
            row["country"],
            row["currency"],
            row["credit"] == "yes",
            Decimal(row["energy_kwh"]),
            Decimal(row["total_excl_vat"]),
        )


def _uids(facts: Counter[Fact]) -> list[str]:
    return sorted(fact.uid for fact in facts.elements())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tallied(facts: list[Fact], sign: int) -> dict[LineKey, Tally]:
    """Add CDRs up to lines: exactly, and rounded once per line; a credit note turns the sign."""
    groups: dict[LineKey, list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[fact.counterparty, fact.month, fact.country, fact.credit].append(fact)
    return {
        key: Tally(
            len(group),
            sign * sum((fact.energy_kwh for fact in group), Decimal()),
            rounded(sign * sum((fact.total for fact in group), Decimal()), group[0].currency),
        )
        for key, group in groups.items()
    }


def _lines(document: Document, expected: dict[LineKey, Tally]) -> Iterator[Difference]:
    """Compare the lines, as printed and as stored, with the recomputed ones."""
    printed = {
        _printed_key(line): Tally(line["cdrs"], Decimal(line["energy_kwh"]), Decimal(line["net"]))
        for line in document.snapshot["lines"]
    }
    stored = dict(_stored_lines(document))
    for key in sorted(expected.keys() | printed.keys() | stored.keys()):
        yield from _differ(document, f"printed line {key}", expected.get(key), printed.get(key))
        yield from _differ(document, f"stored line {key}", expected.get(key), stored.get(key))


def _printed_key(line: dict[str, Any]) -> LineKey:
    return line["counterparty"], line["supply_month"], line["country"], line["credit"]


def _stored_lines(document: Document) -> Iterator[tuple[LineKey, Tally]]:
    side = SIDES[Kind(document.kind)]
    party = "cpo" if side.other == "owner" else side.other
    way = "AP" if side.role == "owner" else "AR"
    for line in document.lines.filter(side=way).select_related(f"cell__{party}"):
        if cell := line.cell:
            month = f"{cell.supply_month:%Y-%m}"
            key = code_of(getattr(cell, party)), month, cell.country, cell.credit
            yield key, Tally(cell.cdr_count, side.sign * cell.energy_kwh, line.net)


def _taxes(document: Document) -> Iterator[Difference]:
    """Compare the VAT, as printed and as stored, with the VAT on the sums of the lines."""
    nets: dict[TaxKey, Decimal] = defaultdict(Decimal)
    for line in document.snapshot["lines"]:
        nets[line["vat_category"], Decimal(line["vat_rate"])] += Decimal(line["net"])
    expected = {
        key: (net, rounded(net * key[1] / 100, document.currency)) for key, net in nets.items()
    }
    printed = {
        (tax["category"], Decimal(tax["rate"])): (Decimal(tax["base"]), Decimal(tax["tax"]))
        for tax in document.snapshot["taxes"]
    }
    stored = {(tax.category, tax.rate): (tax.base, tax.tax) for tax in document.taxes.all()}
    for key in sorted(expected.keys() | printed.keys() | stored.keys()):
        yield from _differ(document, f"printed VAT {key}", expected.get(key), printed.get(key))
        yield from _differ(document, f"stored VAT {key}", expected.get(key), stored.get(key))
    if said := document.snapshot.get("accounting"):
        tax = rounded(document.tax * Decimal(said["rate"]), said["currency"])
        yield from _differ(document, f"VAT in {said['currency']}", tax, Decimal(said["tax"]))


def _sums(document: Document, facts: list[Fact]) -> Iterator[Difference]:
    """Compare the totals, as printed and as stored, with those of the recomputed lines."""
    side = SIDES.get(Kind(document.kind))
    if side:
        net = sum((line.net for line in _tallied(facts, side.sign).values()), Decimal())
        exact = side.sign * sum((fact.total for fact in facts), Decimal())
    else:
        net = exact = sum((Decimal(x["net"]) for x in document.snapshot["lines"]), Decimal())
    tax = sum((Decimal(tax["tax"]) for tax in document.snapshot["taxes"]), Decimal())
    for name, expected in (("net", net), ("tax", tax), ("gross", net + tax)):
        yield from _differ(document, f"printed {name}", expected, Decimal(document.snapshot[name]))
        yield from _differ(document, f"stored {name}", expected, getattr(document, name))
    yield from _differ(document, "exact net", exact, Decimal(document.snapshot["exact_net"]))
    yield from _differ(document, "printed number", document.number, document.snapshot["number"])


def _files(document: Document) -> Iterator[Difference]:
    """Compare the files with their digests, with the snapshot, and with each other."""
    files = {file.kind: bytes(file.content) for file in document.files.all()}
    for file in document.files.all():
        yield from _differ(document, f"{file.kind} digest", file.sha256, _digest(files[file.kind]))
    yield from _differ(document, "kinds of files", _wanted(document), set(files))
    xml = files.get(File.XML, b"")
    yield from _differ(document, "XML digest", document.xml_sha256, _digest(xml) if xml else "")
    for kind in {File.XML, File.UBL} & files.keys():
        yield from _einvoice(document, kind, files[kind])
    if File.CSV in files and File.PARQUET in files:
        same = parquet.read(files[File.PARQUET]) == parquet.read(parquet.converted(files[File.CSV]))
        yield from _differ(document, "rows in Parquet", True, same)
    if xml and File.PDF in files:
        yield from _differ(document, "e-invoice in the PDF", xml, _inside(files[File.PDF]))


def _wanted(document: Document) -> set[str]:
    annex = {File.CSV, File.PARQUET} if document.snapshot["annex"] else set()
    einvoice = {File.XML, File.UBL} if document.snapshot["e_invoice"] else set()
    return {str(kind) for kind in {File.PDF, *annex, *einvoice}}


def _einvoice(document: Document, kind: str, xml: bytes) -> Iterator[Difference]:
    """Compare an e-invoice with the snapshot, and with itself to the cent."""
    try:
        said = ocn_verify.read(xml)
    except ocn_verify.CannotRead as error:
        yield Difference(str(document), kind, "an e-invoice", str(error))
        return
    meant = ocn_verify.stated(document.snapshot)
    for name, expected, found in zip(said._fields, meant, said, strict=True):
        yield from _differ(document, f"{kind} {name}", expected, found)
    for compared in ocn_verify.arithmetic(said):
        yield from _differ(document, f"{kind} {compared.what}", compared.expected, compared.found)


def _inside(pdf: bytes) -> bytes:
    try:
        return ocn_verify.inside(pdf)
    except ocn_verify.CannotRead:
        return b""


def _chain(document: Document) -> Iterator[Difference]:
    """Recompute the place of a document in the chain of all documents."""
    before = Document.objects.filter(chain_no=document.chain_no - 1).only("hash").first()
    prev_hash = before.hash if before else NO_HASH if document.chain_no == 1 else "missing"
    yield from _differ(document, "hash before it", prev_hash, document.prev_hash)
    digest = digest_of(document.snapshot)
    yield from _differ(document, "digest of the snapshot", digest, document.snapshot_sha256)
    link = chained(document.prev_hash, document.number, digest, document.xml_sha256)
    yield from _differ(document, "hash", link, document.hash)


def _numbers(series: Series) -> Iterator[Difference]:
    """Check that a series runs from 1 to its last number, each spelled as it should be."""
    numbers = dict(series.documents.order_by("seq").values_list("seq", "number"))
    yield from _differ(series, "numbers", list(range(1, series.last_no + 1)), list(numbers))
    for seq, number in numbers.items():
        yield from _differ(series, f"spelling of number {seq}", series.number(seq), number)
