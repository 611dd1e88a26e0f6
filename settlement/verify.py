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
from parties.models import Party
from settlement.annex import safe
from settlement.models import Document, DocumentFile, Series
from settlement.models.documents import Kind
from settlement.snapshot import code_of

SIDES = {Kind.SELF_BILLING: ("owner", "emsp", "AP"), Kind.STATEMENT: ("emsp", "owner", "AR")}


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
    documents = Document.objects.filter(period=period).select_related("party", "series")
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
    """Tell which parties and currencies have CDRs but no document, or the reverse."""
    for kind, (role, _, _) in SIDES.items():
        pairs = Cdr.objects.billable(period).order_by().values_list(role, "currency").distinct()
        billed = documents.filter(kind=kind).values_list("party", "currency")
        for party, currency in set(pairs) ^ set(billed):
            yield Difference(
                str(period),
                f"{kind} of party {party} in {currency}",
                *(("issued", "missing") if (party, currency) in set(pairs) else ("none", "issued")),
            )


def _document(document: Document) -> Iterator[Difference]:
    facts = list(_facts(document))
    yield from _annex(document, facts)
    yield from _lines(document, _tallied(facts))
    yield from _taxes(document)
    yield from _sums(document, facts)
    yield from _pdf(document)


def _facts(document: Document) -> Iterator[Fact]:
    """Read from the CDRs what the document bills."""
    role, other, _ = SIDES[Kind(document.kind)]
    cdrs = Cdr.objects.billable(document.period).filter(**{role: document.party})
    parties = {party.pk: code_of(party) for party in Party.objects.all()}
    columns = ("uid", other, "month", "country", "currency", "credit_of")
    rows = cdrs.filter(currency=document.currency).values_list(
        *columns, "energy_kwh", "total_excl_vat"
    )
    for uid, party, month, country, currency, credit_of, energy_kwh, total in rows.iterator():
        yield Fact(
            safe(uid),
            parties[party],
            f"{month:%Y-%m}",
            country,
            currency,
            credit_of is not None,
            energy_kwh if credit_of is None else -energy_kwh,
            total,
        )


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


def _tallied(facts: list[Fact]) -> dict[LineKey, Tally]:
    """Add CDRs up to lines: exactly, and rounded once per line."""
    groups: dict[LineKey, list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[fact.counterparty, fact.month, fact.country, fact.credit].append(fact)
    return {
        key: Tally(
            len(group),
            sum((fact.energy_kwh for fact in group), Decimal()),
            rounded(sum((fact.total for fact in group), Decimal()), group[0].currency),
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
    _, other, side = SIDES[Kind(document.kind)]
    party = "cpo" if other == "owner" else other
    for line in document.lines.filter(side=side).select_related(f"cell__{party}"):
        cell = line.cell
        key = code_of(getattr(cell, party)), f"{cell.supply_month:%Y-%m}", cell.country, cell.credit
        yield key, Tally(cell.cdr_count, cell.energy_kwh, line.net)


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


def _sums(document: Document, facts: list[Fact]) -> Iterator[Difference]:
    """Compare the totals, as printed and as stored, with those of the recomputed lines."""
    net = sum((line.net for line in _tallied(facts).values()), Decimal())
    tax = sum((Decimal(tax["tax"]) for tax in document.snapshot["taxes"]), Decimal())
    for name, expected in (("net", net), ("tax", tax), ("gross", net + tax)):
        yield from _differ(document, f"printed {name}", expected, Decimal(document.snapshot[name]))
        yield from _differ(document, f"stored {name}", expected, getattr(document, name))
    exact = sum((fact.total for fact in facts), Decimal())
    yield from _differ(document, "exact net", exact, Decimal(document.snapshot["exact_net"]))
    yield from _differ(document, "printed number", document.number, document.snapshot["number"])


def _pdf(document: Document) -> Iterator[Difference]:
    file = document.files.filter(kind=DocumentFile.Kind.PDF).first()
    if file is None:
        yield Difference(str(document), "PDF", "made", "missing")
    else:
        yield from _differ(document, "PDF digest", file.sha256, _digest(bytes(file.content)))


def _numbers(series: Series) -> Iterator[Difference]:
    """Check that a series runs from 1 to its last number, each spelled as it should be."""
    numbers = dict(series.documents.order_by("seq").values_list("seq", "number"))
    yield from _differ(series, "numbers", list(range(1, series.last_no + 1)), list(numbers))
    for seq, number in numbers.items():
        yield from _differ(series, f"spelling of number {seq}", series.number(seq), number)
