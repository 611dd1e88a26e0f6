"""Paper: a document's snapshot as PDF/A-3, the same bytes every time."""

import base64
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal, get_currency_precision
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from hub import native
from settlement.models.documents import Kind, Regime, canonical

Snapshot = dict[str, Any]

INVOICE, STATEMENT = "factur-x.xml", "statement.json"
FACTUR_X = Path(__file__).with_name("factur-x.xmp").read_bytes()

LOCALE = "en"
COMPACT_FROM, DENSE_FROM = 10, 18  # lines; set smaller and smaller, so that 40 fit on two pages
UNITS = {"kwh": "kWh", "cdr": "CDRs", "monthly": ""}
UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # could turn names around


def render_pdf(snapshot: Snapshot, xml: bytes = b"") -> bytes:
    """Set a document's snapshot on paper, with its e-invoice inside; equal ones give equal bytes.

    Without an e-invoice the snapshot itself is inside, as JSON. Takes 0.2 to 0.5 s of one core.
    The bytes also depend on the versions of WeasyPrint and Pango, so compare them within one
    installation only. Nothing is fetched: fonts come from fonts/, the style and the logo from
    static/, and every text of a party is escaped.
    """
    html = render_to_string("settlement/document.html", present(snapshot))
    with _printing_environment(snapshot):
        native.ensure()
        # Imported here because it takes 1.5 s, needs Pango at once, and reads FONTCONFIG_FILE.
        import weasyprint  # type: ignore[import-untyped]
        from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]

        nothing = URLFetcher(allowed_protocols=("data",), fail_on_errors=True)
        style = weasyprint.CSS(string=_static("print/document.css"), url_fetcher=nothing)
        name, content = (INVOICE, xml) if xml else (STATEMENT, canonical(snapshot).encode())
        inside = weasyprint.Attachment(
            string=content,
            name=name,
            description=_("This document as data"),
            created=_issued(snapshot),
            modified=_issued(snapshot),
            relationship="Data",
            url_fetcher=nothing,
        )
        pdf: bytes = weasyprint.HTML(string=html, url_fetcher=nothing).write_pdf(
            stylesheets=[style],
            pdf_variant="pdf/a-3b",
            pdf_tags=True,
            pdf_identifier=snapshot["number"].encode(),
            attachments=[inside],
            finisher=partial(_finish, einvoice=bool(xml)),
        )
    return pdf


def _finish(document: Any, pdf: Any, *, einvoice: bool) -> None:
    """Name the attachment once, and say in the metadata that it is a Factur-X e-invoice.

    WeasyPrint lists attachments twice in /AF, and would add a second rdf:RDF of its own.
    """
    files = dict.fromkeys(pdf.catalog["AF"])
    pdf.catalog["AF"].clear()
    pdf.catalog["AF"].extend(files)
    if einvoice:
        metadata = pdf.objects[int(pdf.catalog["Metadata"].split()[0])]
        (content,) = metadata.stream
        metadata.stream = [content.replace(b"</rdf:RDF>", FACTUR_X + b"</rdf:RDF>")]


def present(snapshot: Snapshot) -> Snapshot:
    """Return what the page shows: the snapshot with amounts and dates in words of the reader."""
    seen: Snapshot = _cleaned(snapshot)
    currency, kind, annex = seen["currency"], Kind(seen["kind"]), seen["annex"]
    fees = kind == Kind.FEE
    return seen | {
        "title": _title(kind, seen["regime"]),
        "logo": "data:image/svg+xml;base64," + base64.b64encode(_static_bytes("logo.svg")).decode(),
        "setting": _setting(len(seen["lines"])),
        "marks": list(_marks(seen)),
        "taxed": any(tax["category"] != "O" for tax in seen["taxes"]),
        "self_billed": kind.self_billed,
        "is_credit": kind.corrects is not None,
        "drawn_up_by": seen[seen["issuer"]],
        "issued": _day(seen["issued_on"]),
        "due": _day(seen["due_on"]),
        "from": _day(seen["period_start"]),
        "to": _day(seen["period_end"]),
        "references": [item | {"day": _day(item["issued_on"])} for item in seen["references"]],
        "lines": [(_fee if fees else _line)(line, currency) for line in seen["lines"]],
        "taxes": [_tax(tax, currency) for tax in seen["taxes"]],
        "sums": {name: amount(seen[name], currency) for name in ("net", "tax", "gross")},
        "accounted": _accounted(seen.get("accounting")),
        "to_pay": Decimal(seen["gross"]) > 0 and kind.corrects is None,
        "account_is_iban": seen["payment"]["iban"][:2].isalpha(),
        "exact": amount(seen["exact_net"], currency),
        "totals": {} if fees else _totals(seen["lines"]),
        "rows": f"{annex['rows']:,}" if annex else "",
        "inside": INVOICE if seen["e_invoice"] else STATEMENT,
    }


def _accounted(said: Snapshot | None) -> Snapshot | None:
    """Write the VAT in the currency of the state that gets it, with the rate."""
    if said is None:
        return None
    return said | {"tax": amount(said["tax"], said["currency"]), "day": _day(said["on"])}


def _marks(seen: Snapshot) -> Iterator[str]:
    """Return what stands in a frame above the document, and below each page: what it is not."""
    if seen["regime"] == Regime.PRO_FORMA:
        yield _("Pro forma \u2013 not an invoice")
    if seen["environment"] == "sandbox":
        yield _("Sandbox \u2013 not a tax document")


def amount(text: str, currency: str) -> str:
    """Write an exact amount with thousands separators, never with fewer decimals than it has."""
    value = Decimal(text)
    decimals = max(get_currency_precision(currency), _decimals(value))
    return _number(value, decimals)


def _number(value: Decimal, decimals: int) -> str:
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    return format_decimal(value, format=pattern, locale=LOCALE)


def _decimals(value: Decimal) -> int:
    """Count the decimals that carry something."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _title(kind: Kind, regime: str) -> str:
    titles = {
        Kind.SELF_BILLING: _("Self-billed invoice"),
        Kind.SELF_BILLING_CREDIT: _("Self-billed credit note"),
        Kind.INVOICE: _("Invoice"),
        Kind.CREDIT: _("Credit note"),
        Kind.FEE: _("Fee invoice"),
    }
    statements = {
        Kind.SELF_BILLING_CREDIT: _("Settlement credit"),
        Kind.CREDIT: _("Settlement credit"),
        Kind.FEE: _("Fee statement"),
    }
    if regime == Regime.US_STATEMENT:
        return statements.get(kind, _("Settlement statement"))
    if regime == Regime.PRO_FORMA:
        return _("Pro forma credit note") if kind.corrects else _("Pro forma invoice")
    return titles[kind]


def _setting(lines: int) -> str:
    """Return the class that the style knows for a table of so many lines."""
    return "dense" if lines >= DENSE_FROM else "compact" if lines >= COMPACT_FROM else "loose"


def _line(line: Snapshot, currency: str) -> Snapshot:
    return line | {
        "net": amount(line["net"], currency),
        "energy": _energy(Decimal(line["energy_kwh"])),
        "cdrs": f"{line['cdrs']:,}",
        "vat": _rate(line["vat_category"], line["vat_rate"]),
    }


def _fee(line: Snapshot, currency: str) -> Snapshot:
    """Write a fee: the quantity in its own unit, the rate per unit."""
    quantity, rate = Decimal(line["basis_quantity"]), Decimal(line["rate"])
    percent = line["basis"] == "percent"
    exact = _number(quantity, max(_decimals(quantity), 2 if percent else 0))
    return line | {
        "net": amount(line["net"], currency),
        "quantity": f"{currency} {exact}" if percent else f"{exact} {UNITS[line['basis']]}".strip(),
        "rate": f"{_number(rate, _decimals(rate))} %"
        if percent
        else amount(line["rate"], currency),
        "vat": _rate(line["vat_category"], line["vat_rate"]),
    }


def _tax(tax: Snapshot, currency: str) -> Snapshot:
    return tax | {
        "vat": _rate(tax["category"], tax["rate"]),
        "base": amount(tax["base"], currency),
        "tax": amount(tax["tax"], currency),
    }


def _totals(lines: list[Snapshot]) -> Snapshot:
    energy = sum((Decimal(line["energy_kwh"]) for line in lines), Decimal())
    return {"cdrs": f"{sum(line['cdrs'] for line in lines):,}", "energy": _energy(energy)}


def _energy(kwh: Decimal) -> str:
    return _number(kwh, max(3, _decimals(kwh)))


def _rate(category: str, rate: str) -> str:
    """Write a VAT category of EN 16931 with its rate: `S 21 %`."""
    return f"{category} {_number(Decimal(rate), _decimals(Decimal(rate)))} %"


def _day(iso: str) -> str:
    return format_date(date.fromisoformat(iso), "d MMM yyyy", locale=LOCALE)


def _cleaned(value: Any) -> Any:
    """Drop the invisible characters that could make a name read as another."""
    match value:
        case str():
            return UNSEEN.sub("", value)
        case dict():
            return {key: _cleaned(item) for key, item in value.items()}
        case list():
            return [_cleaned(item) for item in value]
    return value


@contextmanager
def _printing_environment(snapshot: Snapshot) -> Iterator[None]:
    """Let fontconfig see our fonts only, and fontTools the day of issue instead of the clock."""
    ours = {
        "FONTCONFIG_FILE": str(_root() / "fonts" / "fonts.conf"),
        "SOURCE_DATE_EPOCH": str(int(_issued(snapshot).timestamp())),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        _restore(before)


def _issued(snapshot: Snapshot) -> datetime:
    """Return the day of issue as an instant."""
    return datetime.combine(date.fromisoformat(snapshot["issued_on"]), datetime.min.time(), UTC)


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _root() -> Path:
    return Path(settings.BASE_DIR)


def _static(name: str) -> str:
    return _static_bytes(name).decode()


def _static_bytes(name: str) -> bytes:
    return (_root() / "static" / name).read_bytes()
