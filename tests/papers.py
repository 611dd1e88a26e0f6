"""Snapshots of documents of all kinds, as issuing would have taken them, for tests of paper."""

import hashlib
import zlib
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

CPO = {
    "party": "FR-ABC",
    "name": "Bornes de France SAS",
    "address": ["12 rue de la Paix", "75001 Paris"],
    "street": ["12 rue de la Paix"],
    "postal_code": "75001",
    "city": "Paris",
    "country": "FR",
    "vat_id": "FR40303265045",
    "registration": "RCS Paris 303 265 045",
}
HUB = {
    "party": "XX-OCN",
    "name": "Open Charge Network B.V.",
    "address": ["Keizersgracht 1", "1015 AA Amsterdam"],
    "street": ["Keizersgracht 1"],
    "postal_code": "1015 AA",
    "city": "Amsterdam",
    "country": "NL",
    "vat_id": "NL123456789B01",
    "registration": "KvK 12345678",
}
EMSP = {
    "party": "DE-EMP",
    "name": "Ladekarte GmbH",
    "address": ["Invalidenstraße 1", "10115 Berlin"],
    "street": ["Invalidenstraße 1"],
    "postal_code": "10115",
    "city": "Berlin",
    "country": "DE",
    "vat_id": "DE136695976",
    "registration": "HRB 12345 B",
}
US_CPO = CPO | {
    "party": "US-CHG",
    "name": "Charge America Inc.",
    "address": ["1 Market Street", "94105 San Francisco"],
    "country": "US",
    "vat_id": "94-1234567",
    "registration": "",
}
TYPES = {
    "self_billing_invoice": "389",
    "self_billing_credit_note": "261",
    "emsp_invoice": "380",
    "emsp_credit_note": "381",
    "fee_invoice": "380",
}
NOTES = {
    "AE": "Reverse charge; Articles 38 and 195 of Directive 2006/112/EC",
    "E": "Exempt; Article 132 of Directive 2006/112/EC",
    "G": "Export outside the EU; Article 146 of Directive 2006/112/EC",
    "O": "Not subject to VAT; Articles 38 and 39 of Directive 2006/112/EC",
}
Snapshot = dict[str, Any]


def line(number: int, net: str = "1234.56", category: str = "S", **changes: Any) -> Snapshot:
    """Return the line of a cell; one that takes back has negative energy."""
    rate = {"S": "21.00"}.get(category, "0.00")
    energy = "3456.7800" if Decimal(net) >= 0 else "-3456.7800"
    return {
        "no": number,
        "text": f"Electricity for charging to drivers of DE-E{number:02}",
        "counterparty": f"DE-E{number:02}",
        "counterparty_name": "Ladenetz Süd und Přípojka Mobility Partners of Ελλάδα GmbH",
        "supply_month": "2026-10",
        "start": "2026-10-01",
        "end": "2026-10-31",
        "country": "FR",
        "cdrs": 1200,
        "energy_kwh": energy,
        "quantity": energy,
        "unit": "KWH",
        "price": net.removeprefix("-"),
        "base_quantity": "3456.7800",
        "net": net,
        "vat_category": category,
        "vat_rate": rate,
        "credit": Decimal(net) < 0,
    } | changes


def fee(number: int, text: str, basis: str, quantity: str, rate: str, net: str) -> Snapshot:
    """Return the line of a fee."""
    unit = {"kwh": "KWH", "monthly": "MON"}.get(basis, "C62")
    billed = "1" if basis == "percent" else quantity
    told = line(number, net, "AE")
    for name in ("counterparty_name", "country", "cdrs", "energy_kwh", "credit"):
        del told[name]
    return told | {
        "text": text,
        "counterparty": "",
        "basis": basis,
        "basis_quantity": quantity,
        "rate": rate,
        "role": "CPO",
        "quantity": billed,
        "base_quantity": billed,
        "unit": unit,
    }


FEES = (
    fee(1, "Clearing of charges at your stations", "percent", "12345.6700", "2.500000", "308.64"),
    fee(2, "Energy settled", "kwh", "34567.8000", "0.002000", "69.14"),
    fee(3, "Settled CDRs", "cdr", "12000.0000", "0.010000", "120.00"),
    fee(4, "Connection", "monthly", "1.0000", "49.000000", "49.00"),
)


def paper(*lines: Snapshot, kind: str = "self_billing_invoice", **changes: Any) -> Snapshot:
    """Return a document of some lines, with the sums that they make."""
    made = _ends(kind) | changes
    chosen = list(lines) or [line(number + 1) for number in range(3)]
    taxes = _taxes(chosen)
    net, tax = (_sum(group[name] for group in taxes) for name in ("base", "tax"))
    return {
        "number": "OCN-FRABC-2026-000001",
        "kind": kind,
        "type_code": TYPES[kind],
        "regime": "eu_vat",
        "channel": "pdf_ok",
        "e_invoice": True,
        "issued_on": "2026-11-06",
        "due_on": "2026-11-20",
        "period": "2026-10",
        "period_start": "2026-10-01",
        "period_end": "2026-10-31",
        "environment": "sandbox",
        "currency": "EUR",
        "lines": chosen,
        "taxes": taxes,
        "net": str(net),
        "tax": str(tax),
        "gross": str(net + tax),
        "exact_net": str(net + Decimal("0.0012")),
        "annex": {"name": "OCN-FRABC-2026-000001.csv", "rows": 3600, "sha256": "9f" * 32},
    } | made


def _sum(amounts: Any) -> Decimal:
    return sum(map(Decimal, amounts), Decimal())


def _taxes(lines: list[Snapshot]) -> list[Snapshot]:
    groups: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for item in lines:
        groups[item["vat_category"], item["vat_rate"]] += Decimal(item["net"])
    return [
        {
            "category": category,
            "rate": rate,
            "base": str(base),
            "tax": str((base * Decimal(rate) / 100).quantize(base, ROUND_HALF_UP)),
            "note": NOTES.get(category, ""),
            "vatex": {"AE": "VATEX-EU-AE", "G": "VATEX-EU-G"}.get(category, ""),
        }
        for (category, rate), base in groups.items()
    ]


def _ends(kind: str) -> Snapshot:
    """Return who supplies whom, how it is paid, and what is said of it."""
    self_billed, credit = kind.startswith("self"), kind.endswith("note")
    owed = "payable_to_supplier" if self_billed else "payable_to_hub"
    corrected = {"number": "OCN-FRABC-2026-000007", "issued_on": "2026-10-06"}
    supplier, customer = (
        (CPO, HUB) if self_billed else (HUB, CPO if kind == "fee_invoice" else EMSP)
    )
    return {
        "supplier": supplier,
        "customer": customer,
        "issuer": "customer" if self_billed else "supplier",
        "mentions": ["Self-billing", "Autofacturation"] if self_billed else [],
        "references": [corrected] if credit else [],
        "payment": {
            "reference": "OCN-FRABC-2026-000001",
            "iban": "FR7630006000011234567890189" if self_billed else "NL91ABNA0417164300",
            "account_name": supplier["name"],
            "direction": "set_off" if credit else owed,
        },
    } | ({"annex": None} if kind == "fee_invoice" else {})


def print_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PDFs made in no time, each with its e-invoice inside; how they look has own tests."""
    monkeypatch.setattr("settlement.rendering.render_pdf", _digest_as_pdf)


def _digest_as_pdf(snapshot: dict[str, Any], xml: bytes = b"") -> bytes:
    digest = hashlib.sha256(repr(snapshot).encode()).hexdigest().encode()
    inside = b"<< /Type /EmbeddedFile /Filter /FlateDecode >>\nstream\n%b\nendstream"
    return b"%PDF-" + digest + inside % zlib.compress(xml)
