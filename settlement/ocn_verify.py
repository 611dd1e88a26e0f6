#!/usr/bin/env python3
"""ocn-verify: recompute a document of the clearing house from itself and its list of CDRs.

    python ocn_verify.py INVOICE.pdf|INVOICE.xml [ANNEX.csv]

Needs nothing but Python 3.11. Reads the e-invoice (CII or UBL; from a PDF the one inside, or the
statement inside where there is no e-invoice), then checks, to the cent: that quantity times price
is each line, that lines add up to the net and to the base of each VAT group, that VAT is the
rounded rate of its base, and the totals; with the annex also that it is the file whose digest the
document names, and that its CDRs, added exactly and rounded once per line, are the lines. Prints
what was compared. Exit status 0: everything as it should be; 1: a difference; 2: cannot be read.
"""

import argparse
import csv
import hashlib
import io
import json
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

CREDIT_NOTES = ("261", "381")
BIGGEST = 64 << 20  # bytes, of what is unpacked from a PDF
KEY = ("counterparty", "supply_month", "country", "credit")
DIGEST = re.compile("SHA-256 ([0-9a-f]{64})")
EMBEDDED = re.compile(rb"<<((?:(?!endobj).)*?/EmbeddedFile(?:(?!endobj).)*?)>>\s*stream\r?\n", re.S)


class CannotRead(Exception):
    """The file is not what it should be; the message says why."""


class Party(NamedTuple):
    """A supplier or customer."""

    code: str
    name: str
    city: str
    country: str
    vat_id: str


class Line(NamedTuple):
    """A line; `key` (KEY) ties it to rows of the annex, and is empty where there are none."""

    no: str
    text: str
    quantity: Decimal
    unit: str
    price: Decimal
    base_quantity: Decimal
    net: Decimal
    category: str
    rate: Decimal
    start: str
    end: str
    key: tuple[str, ...] = ()
    cdrs: int = 0


class Group(NamedTuple):
    """The VAT of one category and rate."""

    category: str
    rate: Decimal
    base: Decimal
    tax: Decimal
    reason: str


class Invoice(NamedTuple):
    """What a document says, whichever way it is written down."""

    number: str
    type_code: str
    currency: str
    issued_on: str
    annex: str
    digest: str
    seller: Party
    buyer: Party
    notes: str
    references: tuple[str, ...]
    lines: tuple[Line, ...]
    groups: tuple[Group, ...]
    net: Decimal
    tax: Decimal
    gross: Decimal
    payable: Decimal


class Comparison(NamedTuple):
    """Something compared."""

    what: str
    expected: Any
    found: Any

    @property
    def holds(self) -> bool:
        """Tell whether it is as it should be."""
        return bool(self.expected == self.found)


# Where things stand in the two spellings of EN 16931: name, CII, UBL
PATHS = """
number           ExchangedDocument/ID                               ID
type_code        ExchangedDocument/TypeCode                         KINDTypeCode
currency         SETTLED/InvoiceCurrencyCode                        DocumentCurrencyCode
issued_on        ExchangedDocument/IssueDateTime/DateTimeString     IssueDate
annex            AGREED/AdditionalReferencedDocument/IssuerAssignedID AdditionalDocumentReference/ID
digest           AGREED/AdditionalReferencedDocument/Name  AdditionalDocumentReference/DocumentDescription
notes            ExchangedDocument/IncludedNote/Content             Note
references       SETTLED/InvoiceReferencedDocument/IssuerAssignedID BillingReference/InvoiceDocumentReference/ID
net              SETTLED/SUMS/LineTotalAmount                       LegalMonetaryTotal/LineExtensionAmount
tax              SETTLED/SUMS/TaxTotalAmount                        TaxTotal/TaxAmount
gross            SETTLED/SUMS/GrandTotalAmount                      LegalMonetaryTotal/TaxInclusiveAmount
payable          SETTLED/SUMS/DuePayableAmount                      LegalMonetaryTotal/PayableAmount
seller           AGREED/SellerTradeParty                            AccountingSupplierParty/Party
buyer            AGREED/BuyerTradeParty                             AccountingCustomerParty/Party
party.code       ID                                                 PartyIdentification/ID
party.name       Name                                               PartyLegalEntity/RegistrationName
party.city       PostalTradeAddress/CityName                        PostalAddress/CityName
party.country    PostalTradeAddress/CountryID                 PostalAddress/Country/IdentificationCode
party.vat_id     SpecifiedTaxRegistration/ID                        PartyTaxScheme/CompanyID
lines            TRADE/IncludedSupplyChainTradeLineItem             KINDLine
line.no          AssociatedDocumentLineDocument/LineID              ID
line.text        SpecifiedTradeProduct/Name                         Item/Name
line.quantity    LINEDelivery/BilledQuantity                        DONEQuantity
line.unit        LINEDelivery/BilledQuantity@unitCode               DONEQuantity@unitCode
line.price       LINEAgreement/NetPriceProductTradePrice/ChargeAmount    Price/PriceAmount
line.base_quantity LINEAgreement/NetPriceProductTradePrice/BasisQuantity Price/BaseQuantity
line.net         LINESettlement/SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount LineExtensionAmount
line.category    LINESettlement/ApplicableTradeTax/CategoryCode     Item/ClassifiedTaxCategory/ID
line.rate        LINESettlement/ApplicableTradeTax/RateApplicablePercent Item/ClassifiedTaxCategory/Percent
line.start       LINESettlement/BillingSpecifiedPeriod/StartDateTime/DateTimeString InvoicePeriod/StartDate
line.end         LINESettlement/BillingSpecifiedPeriod/EndDateTime/DateTimeString InvoicePeriod/EndDate
facts            SpecifiedTradeProduct/ApplicableProductCharacteristic   Item/AdditionalItemProperty
fact.name        Description                                        Name
fact.value       Value                                              Value
groups           SETTLED/ApplicableTradeTax                         TaxTotal/TaxSubtotal
group.category   CategoryCode                                       TaxCategory/ID
group.rate       RateApplicablePercent                              TaxCategory/Percent
group.base       BasisAmount                                        TaxableAmount
group.tax        CalculatedAmount                                   TaxAmount
group.reason     ExemptionReason                                    TaxCategory/TaxExemptionReason
"""  # noqa: E501
SHORT = {
    "SETTLED": "TRADE/ApplicableHeaderTradeSettlement",
    "AGREED": "TRADE/ApplicableHeaderTradeAgreement",
    "TRADE": "SupplyChainTradeTransaction",
    "SUMS": "SpecifiedTradeSettlementHeaderMonetarySummation",
    "LINE": "SpecifiedLineTrade",
}


# Reading


def read(content: bytes) -> Invoice:
    """Read a document as PDF, CII, UBL or the JSON of a statement; raises CannotRead."""
    if content.startswith(b"%PDF"):
        content = inside(content)
    try:
        if content.lstrip().startswith(b"{"):
            return stated(json.loads(content))
        return _from_xml(content)
    except (ElementTree.ParseError, ArithmeticError, ValueError, LookupError, TypeError) as error:
        raise CannotRead(f"not a document of the clearing house: {error!r}") from error


def inside(pdf: bytes) -> bytes:
    """Return the document that is embedded in a PDF; raises CannotRead when there is none."""
    for found in EMBEDDED.finditer(pdf):
        raw = pdf[found.end() : pdf.find(b"endstream", found.end())]
        packed = b"/FlateDecode" in found[1]
        content = zlib.decompressobj().decompress(raw, BIGGEST) if packed else raw.rstrip(b"\r\n")
        if b"CrossIndustryInvoice" in content or b'"type_code"' in content:
            return content
    raise CannotRead("no e-invoice and no statement is embedded in this PDF")


def _from_xml(content: bytes) -> Invoice:
    if b"<!DOCTYPE" in content:
        raise CannotRead("an e-invoice has no DOCTYPE")
    root = ElementTree.fromstring(content)  # noqa: S314 (no DOCTYPE, so no entities)
    paths = _paths(root.tag.rpartition("}")[2])
    seller, buyer = (_all(root, paths[end])[0] for end in ("seller", "buyer"))
    invoice: Invoice = _made(
        Invoice,
        _texts(root, paths),
        seller=_made(Party, _texts(seller, paths, "party.")),
        buyer=_made(Party, _texts(buyer, paths, "party.")),
        notes=" / ".join(note.text or "" for note in _all(root, paths["notes"])),
        references=tuple(node.text for node in _all(root, paths["references"])),
        lines=tuple(_line(node, paths) for node in _all(root, paths["lines"])),
        groups=tuple(
            _made(Group, _texts(node, paths, "group.")) for node in _all(root, paths["groups"])
        ),
    )
    return invoice


def _paths(kind: str) -> dict[str, str]:
    """Return where things stand in a document, by its root element."""
    column = 1 if kind == "CrossIndustryInvoice" else 2
    done = kind.replace("CreditNote", "Credited").replace("Invoice", "Invoiced")
    words = {"KIND": kind, "DONE": done} if column == 2 else SHORT
    found = {}
    for row in PATHS.strip().splitlines():
        path = row.split()[column]
        for word, meaning in words.items():
            path = path.replace(word, meaning)
        found[row.split()[0]] = path
    return found


def _line(node: Any, paths: dict[str, str]) -> Line:
    facts = {
        _text(fact, paths["fact.name"]): _text(fact, paths["fact.value"])
        for fact in _all(node, paths["facts"])
    }
    line: Line = _made(Line, _texts(node, paths, "line."), **_tied(facts))
    return line


def _tied(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what ties a line to the annex, if there is one."""
    return {"key": tuple(facts[name] for name in KEY), "cdrs": int(facts["cdrs"])} if facts else {}


def _all(node: Any, path: str) -> list[Any]:
    return list(node.findall("/".join(f"{{*}}{name}" for name in path.split("/"))))


def _text(node: Any, path: str) -> str:
    path, _, attribute = path.partition("@")
    for found in _all(node, path):
        return str(found.get(attribute) if attribute else found.text or "").strip()
    return ""


def _texts(node: Any, paths: dict[str, str], part: str = "") -> dict[str, str]:
    names = (name for name in paths if name.startswith(part))
    return {name.removeprefix(part): _text(node, paths[name]) for name in names}


def _made(record: Any, texts: dict[str, Any], **others: Any) -> Any:
    """Make a record of texts: exact amounts, and days as YYYY-MM-DD."""
    types = record.__annotations__
    plain = (name for name in types if name in texts and name not in others)
    return record(**{name: _read(types[name], name, texts[name]) for name in plain}, **others)


def _read(kind: type, name: str, text: Any) -> Any:
    if kind is Decimal:
        return Decimal(text)
    if name in ("start", "end", "issued_on") and len(text) == len("YYYYMMDD"):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    digest = DIGEST.fullmatch(text) if name == "digest" else None
    return digest[1] if digest else text


def stated(said: dict[str, Any]) -> Invoice:
    """Read the snapshot of a document, from which everything else is made."""
    annex = said["annex"] or {"name": "", "sha256": ""}
    sandbox = ["Sandbox: not a tax document"] if said["environment"] == "sandbox" else []
    seller, buyer = (said[end] | {"code": said[end]["party"]} for end in ("supplier", "customer"))
    invoice: Invoice = _made(
        Invoice,
        said | {"annex": annex["name"], "digest": annex["sha256"], "payable": said["gross"]},
        seller=_made(Party, seller),
        buyer=_made(Party, buyer),
        notes=" / ".join(said["mentions"] + sandbox),
        references=tuple(reference["number"] for reference in said["references"]),
        lines=tuple(map(_stated_line, said["lines"])),
        groups=tuple(_made(Group, tax | {"reason": _reason(tax)}) for tax in said["taxes"]),
    )
    return invoice


def _reason(tax: dict[str, str]) -> str:
    """Return why no VAT is charged; at a rate of its own nothing is to be explained."""
    return "" if tax["category"] in ("S", "Z") else tax["note"] or "Exempt from VAT"


def _stated_line(line: dict[str, Any]) -> Line:
    tied = {}
    if line["counterparty"]:
        words = {"country": line["country"] or "-", "credit": "yes" if line["credit"] else "no"}
        tied = _tied(line | words)
    own = {"no": str(line["no"]), "category": line["vat_category"], "rate": line["vat_rate"]}
    made: Line = _made(Line, {**line, **own}, **tied)
    return made


# Checking


def arithmetic(invoice: Invoice) -> Iterator[Comparison]:
    """Compare lines, VAT groups and totals with what they must be, to the cent."""
    unit = _unit(invoice.net)
    for line in invoice.lines:
        exact = line.quantity * line.price, line.net * line.base_quantity
        yield Comparison(f"line {line.no}: quantity x price", *exact)
    yield Comparison("net: sum of the lines", _sum(line.net for line in invoice.lines), invoice.net)
    bases: dict[tuple[str, Decimal], Decimal] = defaultdict(Decimal)
    for line in invoice.lines:
        bases[line.category, line.rate] += line.net
    yield Comparison(
        "VAT groups",
        sorted(bases),
        sorted((group.category, group.rate) for group in invoice.groups),
    )
    for group in invoice.groups:
        name, base = f"{group.category} {group.rate} %", bases[group.category, group.rate]
        yield Comparison(f"VAT {name}: sum of its lines", base, group.base)
        tax = (base * group.rate / 100).quantize(unit, ROUND_HALF_UP)
        yield Comparison(f"VAT {name}: rate x base", tax, group.tax)
    yield Comparison("VAT: sum of the groups", _sum(x.tax for x in invoice.groups), invoice.tax)
    yield Comparison("gross: net and VAT", invoice.net + invoice.tax, invoice.gross)
    yield Comparison("payable", invoice.gross, invoice.payable)
    amounts = [invoice.net, invoice.tax, invoice.gross, *(line.net for line in invoice.lines)]
    yield Comparison("decimals of all amounts", {unit}, {_unit(amount) for amount in amounts})


def annexed(invoice: Invoice, content: bytes) -> Iterator[Comparison]:
    """Compare the annex with its digest, and the lines with the CDRs in it."""
    yield Comparison("digest of the annex", hashlib.sha256(content).hexdigest(), invoice.digest)
    sign = -1 if invoice.type_code in CREDIT_NOTES else 1
    groups: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
        groups[tuple(row[name] or "-" for name in KEY)].append(row)
    lines = {line.key: line for line in invoice.lines}
    yield Comparison("groups of CDRs", sorted(groups), sorted(lines))
    for key in sorted(groups.keys() & lines.keys()):
        line, name = lines[key], f"line {lines[key].no}"
        total = sign * _sum(Decimal(row["total_excl_vat"]) for row in groups[key])
        net = total.quantize(_unit(invoice.net), ROUND_HALF_UP)
        yield Comparison(f"{name}: {total} of {len(groups[key])} CDRs", net, line.net)
        yield Comparison(f"{name}: CDRs", len(groups[key]), line.cdrs)
        if line.unit == "KWH":
            energy = sign * _sum(Decimal(row["energy_kwh"]) for row in groups[key])
            yield Comparison(f"{name}: energy", energy, line.quantity)
        paid_in = {row["currency"] for row in groups[key]}
        yield Comparison(f"{name}: currency", {invoice.currency}, paid_in)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal())


def _unit(amount: Decimal) -> Decimal:
    return Decimal(1).scaleb(int(amount.as_tuple().exponent))


def main() -> int:
    """Check the files named on the command line, and print what was compared."""
    parser = argparse.ArgumentParser(prog="ocn-verify", description=__doc__.splitlines()[0])
    parser.add_argument("invoice", type=Path, help="PDF or XML")
    parser.add_argument("annex", type=Path, nargs="?", help="CSV")
    files = parser.parse_args()
    try:
        invoice = read(files.invoice.read_bytes())
        compared = [*arithmetic(invoice)]
        if files.annex:
            compared += annexed(invoice, files.annex.read_bytes())
    except (OSError, CannotRead, LookupError, ValueError, ArithmeticError) as error:
        sys.stderr.write(f"ocn-verify: {error}\n")
        return 2
    wrong = [comparison for comparison in compared if not comparison.holds]
    sys.stdout.writelines(_told(invoice, compared, annex=bool(files.annex)))
    return 1 if wrong else 0


def _told(invoice: Invoice, compared: list[Comparison], *, annex: bool) -> Iterator[str]:
    total = f"{invoice.currency} {invoice.net} + {invoice.tax} = {invoice.gross}"
    yield f"{invoice.number}  {invoice.seller.name} -> {invoice.buyer.name}  {total}\n"
    for comparison in compared:
        mark = "ok   " if comparison.holds else "WRONG"
        yield f"{mark}  {comparison.what}\n"
        if not comparison.holds:
            yield f"         must be {comparison.expected}\n         but is  {comparison.found}\n"
    wrong = sum(not comparison.holds for comparison in compared)
    if invoice.annex and not annex:
        yield f"not checked: the CDRs in {invoice.annex}\n"
    yield f"{len(compared)} comparisons, {wrong or 'none'} wrong\n"


if __name__ == "__main__":
    sys.exit(main())
