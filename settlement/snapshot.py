"""What a document says: all that is printed on it, as plain data that never changes again."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.conf import settings

from hub.money import ZERO, minor_unit, rounded
from parties.models import Party
from settlement.calendar import last_day
from settlement.models import Cell, LegalEntity, VatRule
from settlement.models.documents import Kind

SELF_BILLING = "Self-billing"  # Directive 2006/112/EC, Article 226 (10a)
SELF_BILLING_IN = {
    "AT": "Gutschrift",
    "BE": "Factuur uitgereikt door afnemer / Autofacturation",
    "CZ": "Vystaveno zákazníkem",
    "DE": "Gutschrift",
    "DK": "Selvfakturering",
    "ES": "Facturación por el destinatario",
    "FI": "Itselaskutus",
    "FR": "Autofacturation",
    "IT": "Autofatturazione",
    "LU": "Autofacturation",
    "NL": "Factuur uitgereikt door afnemer",
    "PL": "Samofakturowanie",
    "PT": "Autofaturação",
    "SE": "Självfakturering",
}
DAYS_TO_PAY = {Kind.STATEMENT: 14, Kind.SELF_BILLING: 21}


class Line(NamedTuple):
    """A cell as a line of a document, with who is on its other end and how it is taxed."""

    cell: Cell
    counterparty: Party
    rule: VatRule


class Tax(NamedTuple):
    """The VAT of one category and rate."""

    category: str
    rate: Decimal
    base: Decimal
    tax: Decimal
    note: str


@dataclass(frozen=True)
class Bill:
    """A document about to be issued, with its sums."""

    kind: Kind
    number: str
    month: dt.date
    issued_on: dt.date
    currency: str
    supplier: LegalEntity
    customer: LegalEntity
    lines: list[Line]
    annex: dict[str, Any] = field(default_factory=dict)

    @property
    def due_on(self) -> dt.date:
        """Return the day it is to be paid by."""
        return self.issued_on + dt.timedelta(days=DAYS_TO_PAY[self.kind])

    @cached_property
    def taxes(self) -> list[Tax]:
        """Return the VAT per category and rate, each on the sum of its rounded lines."""
        groups: dict[tuple[str, Decimal], list[Line]] = defaultdict(list)
        for line in self.lines:
            groups[line.rule.category, line.rule.rate].append(line)
        return [self._tax(*key, groups[key]) for key in sorted(groups)]

    def _tax(self, category: str, rate: Decimal, lines: list[Line]) -> Tax:
        base = sum((line.cell.net for line in lines), ZERO)
        tax = rounded(base * rate / 100, self.currency)
        return Tax(category, rate, base, tax, _note(lines[0].rule))

    @property
    def net(self) -> Decimal:
        """Return the sum of the rounded lines."""
        return sum((line.cell.net for line in self.lines), ZERO)

    @property
    def tax(self) -> Decimal:
        """Return the VAT of the whole document."""
        return sum((tax.tax for tax in self.taxes), ZERO)

    @property
    def gross(self) -> Decimal:
        """Return what is to be paid."""
        return self.net + self.tax

    def spelled(self, amount: Decimal) -> str:
        """Write an amount with the decimals of the currency."""
        return f"{amount.quantize(minor_unit(self.currency)):f}"


def taken(bill: Bill) -> dict[str, Any]:
    """Return a bill as the snapshot that PDF and e-invoice are pure functions of."""
    return {
        "number": bill.number,
        "kind": bill.kind.value,
        "issued_on": bill.issued_on.isoformat(),
        "due_on": bill.due_on.isoformat(),
        "period": f"{bill.month:%Y-%m}",
        "period_start": bill.month.isoformat(),
        "period_end": last_day(bill.month).isoformat(),
        "environment": settings.ENVIRONMENT,
        "currency": bill.currency,
        "supplier": _entity(bill.supplier),
        "customer": _entity(bill.customer),
        "issuer": "customer" if bill.kind == Kind.SELF_BILLING else "supplier",
        "mentions": _mentions(bill),
        "lines": [_line(bill, no, line) for no, line in enumerate(bill.lines, start=1)],
        "taxes": [_taxed(bill, tax) for tax in bill.taxes],
        "net": bill.spelled(bill.net),
        "tax": bill.spelled(bill.tax),
        "gross": bill.spelled(bill.gross),
        "payment": _payment(bill),
        "exact_net": f"{sum((line.cell.total for line in bill.lines), ZERO):f}",
        "annex": bill.annex,
    }


def code_of(party: Party | None) -> str:
    """Write a party as CC-PID; nobody is the hub."""
    if party is None:
        return f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}"
    return f"{party.country_code}-{party.party_id}"


def _entity(entity: LegalEntity) -> dict[str, Any]:
    return {
        "party": code_of(entity.party),
        "name": entity.name,
        "address": entity.lines,
        "country": entity.country,
        "vat_id": entity.vat_id,
        "registration": entity.registration,
    }


def _mentions(bill: Bill) -> list[str]:
    own = []
    if bill.kind == Kind.SELF_BILLING:
        own = [SELF_BILLING, SELF_BILLING_IN.get(bill.supplier.country, "")]
    return _distinct([*own, *(line.rule.mention for line in bill.lines)])


def _distinct(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _line(bill: Bill, no: int, line: Line) -> dict[str, Any]:
    cell = line.cell
    return {
        "no": no,
        "counterparty": code_of(line.counterparty),
        "counterparty_name": line.counterparty.name,
        "supply_month": f"{cell.supply_month:%Y-%m}",
        "country": cell.country,
        "cdrs": cell.cdr_count,
        "energy_kwh": f"{cell.energy_kwh:f}",
        "net": bill.spelled(cell.net),
        "vat_category": line.rule.category,
        "vat_rate": f"{line.rule.rate:f}",
        "credit": cell.credit,
    }


def _taxed(bill: Bill, tax: Tax) -> dict[str, Any]:
    return {
        "category": tax.category,
        "rate": f"{tax.rate:f}",
        "base": bill.spelled(tax.base),
        "tax": bill.spelled(tax.tax),
        "note": tax.note,
    }


def _note(rule: VatRule) -> str:
    return "; ".join(_distinct([rule.mention, rule.legal_reference]))


def _payment(bill: Bill) -> dict[str, Any]:
    to_hub = bill.kind == Kind.STATEMENT
    return {
        "reference": bill.number,
        "iban": bill.supplier.iban,
        "account_name": bill.supplier.account_name,
        "direction": "payable_to_hub" if to_hub else "payable_to_supplier",
    }
