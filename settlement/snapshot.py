"""What a document says: all that is printed on it, as plain data that never changes again."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from django.conf import settings

from hub.money import ZERO, minor_unit, rounded
from parties.models import Party
from settlement import regimes
from settlement.accounting import Accounting
from settlement.calendar import last_day
from settlement.models import Cell, Document, Fee, LegalEntity
from settlement.models.documents import Kind, Regime

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
PRO_FORMA = "Pro forma"
KWH, PIECE, MONTH = "KWH", "C62", "MON"  # UN/ECE Recommendation 20
FEE_UNITS = {Fee.Basis.KWH: KWH, Fee.Basis.CDR: PIECE, Fee.Basis.MONTHLY: MONTH}


class Treatment(NamedTuple):
    """How a line is taxed, and what has to be said about it."""

    category: str
    rate: Decimal
    mention: str
    note: str
    vatex: str


class Line(NamedTuple):
    """A cell or a fee as a line of a document; on a credit note with the sign turned."""

    text: str
    month: dt.date
    quantity: Decimal
    unit: str
    net: Decimal
    exact: Decimal
    treatment: Treatment
    counterparty: Party | None = None
    cell: Cell | None = None
    fee: Fee | None = None


class Tax(NamedTuple):
    """The VAT of one category and rate."""

    category: str
    rate: Decimal
    base: Decimal
    tax: Decimal
    note: str
    vatex: str


class Taxed(Protocol):
    """What is taxed: a rounded amount, and how."""

    @property
    def net(self) -> Decimal: ...

    @property
    def treatment(self) -> Treatment: ...


def taxes_on(lines: Iterable[Taxed], currency: str) -> list[Tax]:
    """Return the VAT per category and rate, each on the sum of its rounded lines."""
    groups: dict[tuple[str, Decimal], list[Taxed]] = defaultdict(list)
    for line in lines:
        groups[line.treatment.category, line.treatment.rate].append(line)
    return [_tax_on(*key, groups[key], currency) for key in sorted(groups)]


def _tax_on(category: str, rate: Decimal, lines: list[Taxed], currency: str) -> Tax:
    base = sum((line.net for line in lines), ZERO)
    note = "; ".join(_distinct(line.treatment.note for line in lines))
    tax = rounded(base * rate / 100, currency)
    return Tax(category, rate, base, tax, note, lines[0].treatment.vatex)


@dataclass(frozen=True)
class Bill:
    """A document about to be issued, with its sums."""

    kind: Kind
    number: str
    month: dt.date
    issued_on: dt.date
    due_on: dt.date
    currency: str
    supplier: LegalEntity
    customer: LegalEntity
    lines: list[Line]
    channel: str
    corrected: Document | None = None
    accounting: Accounting | None = None
    annex: dict[str, Any] | None = field(default=None)

    @property
    def regime(self) -> str:
        """Return the law it stands under; for a credit note that of what it corrects."""
        if self.corrected:
            return str(self.corrected.snapshot["regime"])
        return regimes.regime_of(self.supplier, self.channel, self._categories).value

    @property
    def has_einvoice(self) -> bool:
        """Tell whether it can be told as an e-invoice."""
        return regimes.has_einvoice(self.regime, self._categories, self.currency)

    @property
    def _categories(self) -> set[str]:
        return {str(line.treatment.category) for line in self.lines}

    @cached_property
    def taxes(self) -> list[Tax]:
        """Return the VAT per category and rate, each on the sum of its rounded lines."""
        return taxes_on(self.lines, self.currency)

    @property
    def net(self) -> Decimal:
        """Return the sum of the rounded lines."""
        return sum((line.net for line in self.lines), ZERO)

    @property
    def tax(self) -> Decimal:
        """Return the VAT of the whole document."""
        return sum((tax.tax for tax in self.taxes), ZERO)

    @property
    def gross(self) -> Decimal:
        """Return what is to be paid, or taken back by a credit note."""
        return self.net + self.tax

    def spelled(self, amount: Decimal) -> str:
        """Write an amount with the decimals of the currency."""
        return f"{amount.quantize(minor_unit(self.currency)):f}"


def taken(bill: Bill) -> dict[str, Any]:
    """Return a bill as the snapshot that PDF and e-invoice are pure functions of."""
    months = [line.month for line in bill.lines]
    return {
        "number": bill.number,
        "kind": bill.kind.value,
        "type_code": bill.kind.type_code,
        "regime": bill.regime,
        "channel": str(bill.channel),
        "e_invoice": bill.has_einvoice,
        "issued_on": bill.issued_on.isoformat(),
        "due_on": bill.due_on.isoformat(),
        "period": f"{bill.month:%Y-%m}",
        "period_start": min(months).isoformat(),
        "period_end": last_day(max(months)).isoformat(),
        "environment": settings.ENVIRONMENT,
        "currency": bill.currency,
        "supplier": _entity(bill.supplier),
        "customer": _entity(bill.customer),
        "issuer": "customer" if bill.kind.self_billed else "supplier",
        "mentions": _mentions(bill),
        "references": _references(bill.corrected),
        "lines": [_line(bill, no, line) for no, line in enumerate(bill.lines, start=1)],
        "taxes": [_taxed(bill, tax) for tax in bill.taxes],
        "accounting": bill.accounting.said(bill.tax) if bill.accounting else None,
        "net": bill.spelled(bill.net),
        "tax": bill.spelled(bill.tax),
        "gross": bill.spelled(bill.gross),
        "payment": _payment(bill),
        "exact_net": f"{sum((line.exact for line in bill.lines), ZERO):f}",
        "annex": bill.annex,
    }


def code_of(party: Party | None) -> str:
    """Write a party as CC-PID; nobody is the hub."""
    if party is None:
        return f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}"
    return party.address.code


def billed_cell(cell: Cell, counterparty: Party, kind: Kind, treatment: Treatment) -> Line:
    """Return a cell as a line; a credit note says positively what it takes back."""
    sign = -1 if kind.corrects else 1
    whose = "to drivers of" if kind.self_billed else "at chargers of"
    return Line(
        text=f"Electricity for charging {whose} {code_of(counterparty)}",
        month=cell.supply_month,
        quantity=sign * cell.energy_kwh,
        unit=KWH,
        net=sign * cell.net,
        exact=sign * cell.total,
        treatment=treatment,
        counterparty=counterparty,
        cell=cell,
    )


def billed_fee(fee: Fee, treatment: Treatment) -> Line:
    """Return a fee as a line; a percentage is one piece."""
    unit = FEE_UNITS.get(Fee.Basis(fee.basis))
    return Line(
        text=fee.text,
        month=fee.period.month,
        quantity=fee.quantity if unit else Decimal(1),
        unit=unit or PIECE,
        net=fee.net,
        exact=fee.net,
        treatment=treatment,
        fee=fee,
    )


def _entity(entity: LegalEntity) -> dict[str, Any]:
    return {
        "party": code_of(entity.party),
        "name": entity.name,
        "address": entity.lines,
        "street": [line.strip() for line in entity.address.splitlines() if line.strip()],
        "postal_code": entity.postal_code,
        "city": entity.city,
        "country": entity.country,
        "vat_id": entity.vat_id,
        "registration": entity.registration,
    }


def _mentions(bill: Bill) -> list[str]:
    if bill.corrected:
        return list(bill.corrected.snapshot["mentions"])
    own = {
        Regime.EU_VAT: [SELF_BILLING, SELF_BILLING_IN.get(bill.supplier.country, "")]
        if bill.kind.self_billed
        else [],
        Regime.PRO_FORMA: [PRO_FORMA],
    }
    told = own.get(Regime(bill.regime), [])
    return _distinct([*told, *(line.treatment.mention for line in bill.lines)])


def _distinct(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _references(corrected: Document | None) -> list[dict[str, str]]:
    if corrected is None:
        return []
    return [{"number": corrected.number, "issued_on": corrected.issued_on.isoformat()}]


def _line(bill: Bill, no: int, line: Line) -> dict[str, Any]:
    return {
        "no": no,
        "text": line.text,
        "supply_month": f"{line.month:%Y-%m}",
        "start": line.month.isoformat(),
        "end": last_day(line.month).isoformat(),
        **_priced(bill, line),
        "net": bill.spelled(line.net),
        "vat_category": line.treatment.category,
        "vat_rate": f"{line.treatment.rate:f}",
        **_origin(line),
    }


def _origin(line: Line) -> dict[str, Any]:
    """Return what the line bills: a cell with who is on its other end, or a fee."""
    if line.cell and line.counterparty:
        return _of_cell(line.cell, line.counterparty, line.quantity)
    return _of_fee(line.fee) if line.fee else {}


def _priced(bill: Bill, line: Line) -> dict[str, str]:
    """Return quantity and price so that they multiply to the net exactly.

    The price is the net itself, for a base quantity of all that was supplied: nothing is divided,
    so nothing is rounded. A price is never negative; what is taken back has a negative quantity.
    Where no quantity carries the amount (or one of the other sign), it is one piece.
    """
    quantity, unit = line.quantity, line.unit
    if not quantity or (line.net and (line.net > 0) != (quantity > 0)):
        quantity, unit = Decimal(-1 if line.net < 0 else 1), PIECE
    return {
        "quantity": f"{quantity:f}",
        "unit": unit,
        "price": bill.spelled(abs(line.net)),
        "base_quantity": f"{abs(quantity):f}",
    }


def _of_cell(cell: Cell, counterparty: Party, energy_kwh: Decimal) -> dict[str, Any]:
    return {
        "counterparty": code_of(counterparty),
        "counterparty_name": counterparty.name,
        "country": cell.country,
        "cdrs": cell.cdr_count,
        "energy_kwh": f"{energy_kwh:f}",
        "credit": cell.credit,
    }


def _of_fee(fee: Fee) -> dict[str, Any]:
    return {
        "counterparty": "",
        "basis": fee.basis,
        "basis_quantity": f"{fee.quantity:f}",
        "rate": f"{fee.rate:f}",
        "role": fee.role,
    }


def _taxed(bill: Bill, tax: Tax) -> dict[str, Any]:
    return {
        "category": tax.category,
        "rate": f"{tax.rate:f}",
        "base": bill.spelled(tax.base),
        "tax": bill.spelled(tax.tax),
        "note": tax.note,
        "vatex": tax.vatex,
    }


def _payment(bill: Bill) -> dict[str, Any]:
    owed = "payable_to_supplier" if bill.kind.self_billed else "payable_to_hub"
    return {
        "reference": bill.number,
        "iban": bill.supplier.iban,
        "account_name": bill.supplier.account_name,
        "direction": "set_off" if bill.kind.corrects else owed,
    }
