"""The documents on paper: complete, short, and the same bytes every time."""

import hashlib
import json
import os
import subprocess
import sys
from decimal import Decimal
from io import BytesIO

import pytest
from django.conf import settings
from pypdf import PdfReader

from settlement.pdf import amount, render_pdf

CPO = {
    "party": "FR*ABC",
    "name": "Bornes de France SAS",
    "address": ["12 rue de la Paix", "75001 Paris"],
    "country": "FR",
    "vat_id": "FR40303265045",
    "registration": "RCS Paris 303 265 045",
}
HUB = {
    "party": "XX*OCN",
    "name": "Open Charge Network B.V.",
    "address": ["Keizersgracht 1", "1015 AA Amsterdam"],
    "country": "NL",
    "vat_id": "NL123456789B01",
    "registration": "KvK 12345678",
}
RENDER = """
import django, json, sys
django.setup()
from settlement.pdf import render_pdf
sys.stdout.buffer.write(render_pdf(json.load(sys.stdin)))
"""


def line(number, net="1234.56", **changes):
    return {
        "no": number,
        "counterparty": f"DE*E{number:02}",
        "counterparty_name": "Ladenetz Süd und Přípojka Mobility Partners of Ελλάδα GmbH",
        "supply_month": "2026-10",
        "country": "FR",
        "cdrs": 1200,
        "energy_kwh": "3456.7800",
        "net": net,
        "vat_category": "S",
        "vat_rate": "21.00",
        "credit": Decimal(net) < 0,
    } | changes


def self_billed(lines=3, **changes):
    net = lines * Decimal("1234.56")
    tax = (net * Decimal("0.21")).quantize(Decimal("0.01"))
    return {
        "number": "OCN-FRABC-2026-000001",
        "kind": "self_billing_invoice",
        "issued_on": "2026-11-06",
        "due_on": "2026-11-20",
        "period": "2026-10",
        "period_start": "2026-10-01",
        "period_end": "2026-10-31",
        "environment": "sandbox",
        "currency": "EUR",
        "supplier": CPO,
        "customer": HUB,
        "issuer": "customer",
        "mentions": ["Self-billing", "Autofacturation"],
        "lines": [line(number + 1) for number in range(lines)],
        "taxes": [
            {"category": "S", "rate": "21.00", "base": str(net), "tax": str(tax), "note": ""}
        ],
        "net": str(net),
        "tax": str(tax),
        "gross": str(net + tax),
        "payment": {
            "reference": "OCN-FRABC-2026-000001",
            "iban": "FR7630006000011234567890189",
            "account_name": "Bornes de France SAS",
            "direction": "payable_to_supplier",
        },
        "exact_net": str(net + Decimal("0.0012")),
        "annex": {"name": "OCN-FRABC-2026-000001.csv", "rows": 3600, "sha256": "9f" * 32},
    } | changes


def read(pdf):
    return PdfReader(BytesIO(pdf))


def text_of(pdf):
    return "\n".join(page.extract_text() for page in read(pdf).pages)


def words_of(pdf):
    """Return the text without regard to where its lines break."""
    return " ".join(text_of(pdf).split())


def test_a_self_billed_invoice_says_what_the_law_asks():
    text = words_of(render_pdf(self_billed(1)))
    for wanted in (
        "Self-billed invoice",
        "OCN-FRABC-2026-000001",
        "Self-billing · Autofacturation",
        "Drawn up by Open Charge Network B.V. as the customer, in the name and on behalf of",
        "Bornes de France SAS 12 rue de la Paix 75001 Paris FR",
        "VAT id FR40303265045",
        "VAT id NL123456789B01",
        "6 Nov 2026",
        "1 Oct 2026 \u2013 31 Oct 2026",
        "3,456.780",
        "S 21 %",
        "EUR 1,234.56",
        "EUR 259.26",
        "EUR 1,493.82",
        "1,234.5612",
        "by 20 Nov 2026",
        "FR7630006000011234567890189",
        "9f" * 32,
        "Page 1 of 1",
    ):
        assert wanted in text, wanted


def test_a_statement_asks_for_payment():
    payment = self_billed()["payment"] | {"direction": "payable_to_hub"}
    snapshot = self_billed(
        kind="emsp_statement",
        issuer="supplier",
        supplier=HUB,
        customer=CPO,
        mentions=[],
        payment=payment,
    )
    text = words_of(render_pdf(snapshot))
    assert "Statement" in text
    assert "Please transfer EUR 4,481.45 to the hub by 20 Nov 2026." in text
    assert "elf-bill" not in text
    assert "Drawn up by" not in text


def test_sandbox_paper_says_so_and_live_paper_does_not():
    assert "Sandbox \u2013 not a tax document" in text_of(render_pdf(self_billed()))
    assert "andbox" not in text_of(render_pdf(self_billed(environment="live"))).lower()


def test_what_is_taken_back_has_a_minus():
    text = words_of(render_pdf(self_billed(lines=2) | {"lines": [line(1), line(2, net="-1234.5")]}))
    assert "Credit" in text
    assert "-1,234.50" in text


def test_a_document_that_owes_nothing_asks_for_nothing():
    text = words_of(render_pdf(self_billed(net="-10.00", tax="-2.10", gross="-12.10")))
    assert "EUR -12.10" in text
    assert "Nothing is to be transferred" in text


@pytest.mark.parametrize(("lines", "pages"), [(3, 1), (12, 1), (20, 1), (40, 2)])
def test_it_stays_short(lines, pages):
    pdf = read(render_pdf(self_billed(lines)))
    assert len(pdf.pages) == pages
    assert [round(float(side)) for side in pdf.pages[0].mediabox[2:]] == [595, 842]


def test_metadata():
    pdf = read(render_pdf(self_billed()))
    assert pdf.metadata.title == "Self-billed invoice OCN-FRABC-2026-000001"
    assert pdf.metadata.author == "Open Charge Network B.V."
    assert pdf.metadata.creation_date.date().isoformat() == "2026-11-06"
    assert pdf.trailer["/Root"]["/Lang"] == "en"
    assert b'pdfaid:part="3"' in pdf.trailer["/Root"]["/Metadata"].get_data()


def test_only_our_fonts_are_used_and_all_are_embedded():
    pdf = read(render_pdf(self_billed()))
    fonts = [font.get_object() for font in pdf.pages[0]["/Resources"]["/Font"].values()]
    assert fonts
    assert all("+Inter" in font["/BaseFont"] for font in fonts)


def test_equal_snapshots_give_equal_bytes_in_any_process():
    snapshot = self_billed(12)
    here = hashlib.sha256(render_pdf(snapshot)).hexdigest()
    assert {rendered_elsewhere(snapshot, seed) for seed in ("1", "2")} == {here}


def rendered_elsewhere(snapshot, seed):
    """Render in a process with another hash seed and another clock zone."""
    environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": f"UTC{seed}"}
    process = subprocess.run(
        [sys.executable, "-c", RENDER],
        input=json.dumps(snapshot).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env=environment,
        cwd=settings.BASE_DIR,
    )
    return hashlib.sha256(process.stdout).hexdigest()


def test_a_party_cannot_put_markup_or_files_into_it(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    name = (
        f'<img src="file://{secret}"><link rel="attachment" href="file://{secret}"><b>Bold</b> & Co'
    )
    pdf = render_pdf(self_billed(supplier=CPO | {"name": name}))
    assert "<b>Bold</b> & Co" in words_of(pdf)
    assert b"the secret" not in pdf
    assert read(pdf).attachments == {}


def test_nothing_is_opened_over_the_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert render_pdf(self_billed())


def test_invisible_characters_cannot_turn_a_name_around():
    text = words_of(render_pdf(self_billed(supplier=CPO | {"name": "Safe\u202e\u200bName"})))
    assert "SafeName" in text


def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    render_pdf(self_billed())
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("text", "currency", "shown"),
    [
        ("1493.82", "EUR", "1,493.82"),
        ("1493.8", "EUR", "1,493.80"),
        ("1493.8200", "EUR", "1,493.82"),
        ("1234.5612", "EUR", "1,234.5612"),
        ("-0.005", "EUR", "-0.005"),
        ("1500", "JPY", "1,500"),
        ("1500.5", "JPY", "1,500.5"),
        ("0", "EUR", "0.00"),
    ],
)
def test_amounts_are_never_rounded(text, currency, shown):
    assert amount(text, currency) == shown
